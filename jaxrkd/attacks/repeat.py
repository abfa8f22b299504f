"""Fixed-count loops that are fast on every backend."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax

T = TypeVar('T')
# The convolution of `models.conv` that is fast in loops, too.
FAST = 'fast_in_loop'


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
  """Whether `body` should be written out: it holds an XLA convolution, on CPU.

  Those in functions named `FAST` do no harm there.
  """
  if jax.default_backend() != 'cpu':
    return False
  return _has_convolution(jax.make_jaxpr(body)(start).jaxpr)


def _has_convolution(jaxpr: Any) -> bool:
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'conv_general_dilated':
      return True
    if equation.params.get('name') == FAST:
      continue
    inner = jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, 'eqns'))
    for leaf in inner:
      # A jaxpr with constants holds one without.
      found = getattr(leaf, 'jaxpr', leaf)
      if hasattr(found, 'eqns') and _has_convolution(found):
        return True
  return False
