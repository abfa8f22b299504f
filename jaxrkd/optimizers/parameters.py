"""Which parameters an optimiser treats in which way."""

from typing import Any


def outside_norm(params: Any) -> Any:
  """True for parameters that do not belong to a normalisation, which has a `scale`."""
  if not isinstance(params, dict):
    return True
  return {
    name: outside_norm(value) if 'scale' not in params else False
    for name, value in params.items()
  }
