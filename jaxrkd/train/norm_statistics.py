"""BatchNorm's statistics for parameters that no step has trained, such as an average."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.models import Net

Array = jax.Array
Tree = Any


def reestimated(
  net: Net,
  params: Tree,
  stats: Tree,
  batches: Iterable[tuple[Array, Array | None]],
  by_size: bool = True,
) -> Tree:
  """The mean, over batches, of what each batch's own statistics are.

  Running statistics r move to k r + (1 - k) b, of a batch's own b. Asked with r = 0 and with
  r = 1 the network tells both k and b, whatever library it is of.

  Args:
    net: the network.
    params: its parameters.
    stats: any statistics of it; what is no running mean stays as it is.
    batches: (images [B, H, W, C] in [0, 1], mask [B] or None) each.
    by_size: weigh batches by their images; else all alike.
  """
  zeros, ones = (
    jax.tree.map(
      lambda leaf, f=f: f(leaf) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf,
      stats,
    )
    for f in (jnp.zeros_like, jnp.ones_like)
  )

  @jax.jit
  def added(total: Tree, weight: Array, images: Array, mask: Array | None):
    own = jnp.asarray(images.shape[0], weight.dtype) if mask is None else jnp.sum(mask)
    own = own.astype(weight.dtype) if by_size else jnp.ones_like(weight)
    low, high = (
      net.apply_train(params, start, images, mask)[1] for start in (zeros, ones)
    )

    def one(sum_so_far: Array, low: Array, high: Array) -> Array:
      if not jnp.issubdtype(low.dtype, jnp.floating):
        return sum_so_far
      moves = 1 - (high - low)
      batch = jnp.where(moves > 0, low / jnp.where(moves > 0, moves, 1), jnp.nan)
      return sum_so_far + own * batch

    return jax.tree.map(one, total, low, high), weight + own

  total, weight = zeros, jnp.zeros((), jnp.result_type(float))
  for images, mask in batches:
    total, weight = added(total, weight, images, mask)

  def mean(sum_of: Array, old: Array) -> Array:
    if not jnp.issubdtype(old.dtype, jnp.floating):
      return old
    found = (sum_of / weight).astype(old.dtype)
    # Statistics that do not move are none of batches.
    return jnp.where(jnp.isnan(found), old, found)

  return jax.tree.map(mean, total, stats)
