"""Blocks whose activations are computed again for gradients instead of being kept.

Chen et al., 2016, arXiv:1604.06174: less memory for more arithmetic, with the same results.
"""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.models import conv
from jaxrkd.models.batch_norm import counted_rows, rows_counted
from jaxrkd.models.branch import always

Array = jax.Array
Tree = Any
# (params, other variables, mask of rows, x) -> (y, other variables after it).
Pure = Callable[[Tree, Tree, Array | None, Array], tuple[Array, Tree]]


def remat_call(block: nnx.Module, x: Array) -> Array:
  """block(x), of which only x is kept for the gradient.

  Variables that the block moves, such as running statistics, are moved once.
  """

  def split(module: nnx.Module) -> tuple[Any, Tree, Tree]:
    return cast(Any, nnx.split(module, nnx.Param, ...))

  graph, params, rest = split(block)

  def pure(params: Tree, rest: Tree, mask: Array | None, x: Array) -> tuple[Array, Tree]:
    module = nnx.merge(graph, params, rest)
    # The second time is traced when the scope of the first has been left.
    with counted_rows(mask):
      y = module(x)
    return y, split(module)[2]

  again = _in_a_branch(pure) if conv.on_cpu() else jax.checkpoint(pure)
  y, moved = again(params, rest, rows_counted(), x)
  nnx.update(block, moved)
  return y


def _in_a_branch(pure: Pure) -> Pure:
  """`jax.checkpoint` for CPU, where XLA merges what is computed twice into one.

  It does not look into branches, so the second time happens in one, which is always taken.
  """

  @jax.custom_vjp
  def run(*given: Tree) -> tuple[Array, Tree]:
    return pure(*given)

  def forward(*given: Tree) -> tuple[tuple[Array, Tree], Tree]:
    return pure(*given), given

  def backward(given: Tree, cotangents: tuple[Array, Tree]) -> Tree:
    taken = always(jax.lax.stop_gradient(cotangents[0]))
    params, rest, x = jax.lax.cond(taken, again, never, given, cotangents)
    return params, rest, None, x

  def again(given: Tree, cotangents: tuple[Array, Tree]) -> Tree:
    params, rest, mask, x = given
    some = lambda params, rest, x: pure(params, rest, mask, x)
    return jax.vjp(some, params, rest, x)[1](cotangents)

  def never(given: Tree, cotangents: tuple[Array, Tree]) -> Tree:
    del cotangents
    params, rest, _, x = given
    return jax.tree.map(jnp.zeros_like, (params, rest, x))

  run.defvjp(forward, backward)
  return run
