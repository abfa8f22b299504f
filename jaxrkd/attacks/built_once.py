"""Attacks of equal settings as one object, so that what was compiled is found again."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec('P')
T = TypeVar('T')
# Attacks that are remembered, of each kind.
MOST = 64


def is_fixed(value: Any) -> bool:
  """Whether a setting means the same for good: no function but jaxrkd's own."""
  if isinstance(value, functools.partial):
    return is_fixed(value.func) and all(
      map(is_fixed, (*value.args, *value.keywords.values()))
    )
  if inspect.isfunction(value):
    # Those that close over something are built anew each time.
    # A function that was made by exec has no module.
    home = value.__module__ or ''
    return home.startswith('jaxrkd.') and value.__closure__ is None
  if isinstance(value, tuple):
    return all(map(is_fixed, value))
  home = type(value).__module__ or ''
  return not callable(value) or home.startswith('jaxrkd.')


def built_once(factory: Callable[P, T]) -> Callable[P, T]:
  """The same factory; equal arguments give the same object.

  Arguments that cannot be compared, such as a threat set without a hash, give a new one.
  So do functions of one's own: what they close over may change.

  Args:
    factory: of an attack or a search, without effects.
  """
  signature = inspect.signature(factory)

  @functools.lru_cache(maxsize=MOST)
  def build(*given: tuple[str, Any, type]) -> T:
    named = {name: value for name, value, _ in given}
    arguments = inspect.BoundArguments(signature, named)
    return factory(*arguments.args, **arguments.kwargs)

  @functools.wraps(factory)
  def make(*args: P.args, **kwargs: P.kwargs) -> T:
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    # 1 and True are equal, and are not the same setting.
    given = tuple((k, v, type(v)) for k, v in bound.arguments.items())
    if not all(map(is_fixed, bound.arguments.values())):
      return factory(*args, **kwargs)
    try:
      hash(given)
    except TypeError:
      return factory(*args, **kwargs)
    return build(*given)

  return make
