"""Fixed-count loops that are fast on every backend."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax

T = TypeVar('T')


def repeat(steps: int, body: Callable[[T], T], start: T) -> T:
  """Applies `body` `steps` times.

  The loop stays rolled, so it compiles once whatever `steps` is, except on CPU when
  `body` holds an XLA convolution: its gradient is several times slower inside a loop
  there, so the steps are written out.
  """
  if steps and slow_in_loop(body, start):
    for _ in range(steps):
      start = body(start)
    return start
  return jax.lax.fori_loop(0, steps, lambda _, carry: body(carry), start)


def slow_in_loop(body: Callable[[T], Any], start: T) -> bool:
  """Whether `body` should be written out: it holds an XLA convolution, on CPU."""
  if jax.default_backend() != 'cpu':
    return False
  return 'conv_general_dilated' in str(jax.make_jaxpr(body)(start))
