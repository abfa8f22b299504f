"""How much arithmetic a function does: multiplications and additions, from its trace.

Compilers count what they made of it (a loop once, a library's convolution not at all); this
counts what was asked for, so that numbers compare across devices.
"""

import math
from collections.abc import Callable
from typing import Any

import jax

from jaxrkd.models import plain_convolutions


def count_flops(function: Callable[..., Any], *arguments: Any) -> int:
  """FLOP of matrix products and convolutions in one call; a multiply-add is two.

  Loops of a fixed count are counted as often as they run; of a branch the larger side, and
  of a loop without a known end one round. On CPU convolutions count as such, however they
  are computed there.

  Args:
    function: anything that JAX traces.
    *arguments: arrays, or `jax.ShapeDtypeStruct`s.
  """
  # Traces of a compiled function are kept, with the convolutions of where it was traced
  # first: it must neither find others here nor find these elsewhere.
  compiled: Any = function
  plain = compiled.__wrapped__ if hasattr(compiled, 'lower') else compiled
  fresh = lambda *given: plain(*given)
  with plain_convolutions():
    return _count(jax.make_jaxpr(fresh)(*arguments).jaxpr)


def _count(jaxpr: Any) -> int:
  return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: Any) -> int:
  name, params = equation.primitive.name, equation.params
  if name == 'dot_general':
    return _count_product(equation)
  if name == 'conv_general_dilated':
    return _count_convolution(equation)
  inner = [_count(jaxpr) for jaxpr in _inside(params)]
  if name == 'cond':
    return max(inner, default=0)
  times = params['length'] if name == 'scan' else 1
  return times * sum(inner)


def _inside(params: dict[str, Any]) -> list[Any]:
  """The programs that an equation calls; derivatives that it only could call are none."""
  found = []
  for leaf in jax.tree.leaves(params, is_leaf=lambda leaf: hasattr(leaf, 'eqns')):
    jaxpr = getattr(leaf, 'jaxpr', leaf)
    if hasattr(jaxpr, 'eqns'):
      found.append(jaxpr)
  return found


def _count_product(equation: Any) -> int:
  (left, _), _ = equation.params['dimension_numbers']
  summed = math.prod(equation.invars[0].aval.shape[axis] for axis in left)
  return 2 * summed * math.prod(equation.outvars[0].aval.shape)


def _count_convolution(equation: Any) -> int:
  """Of a gradient with respect to its input only the pixels that are not inserted zeros."""
  numbers = equation.params['dimension_numbers']
  kernel = equation.invars[1].aval.shape
  taps = math.prod(kernel[axis] for axis in numbers.rhs_spec[1:])
  outputs = math.prod(equation.outvars[0].aval.shape)
  inserted = math.prod(equation.params['lhs_dilation'])
  return 2 * outputs * taps // inserted
