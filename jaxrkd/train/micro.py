"""Batches in parts, one after the other, where images do not see each other.

Attacks and teachers in evaluation mode treat every image alone, so that computing some at a
time changes memory and nothing else. The training pass is not among them: BatchNorm's
statistics are those of the whole batch.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxrkd.runtime import sharding

Array = jax.Array
Tree = Any
T = TypeVar('T')


def in_parts(
  function: Callable[[Tree], T],
  batch: Tree,
  size: int,
  out_axes: Any = 0,
  mesh: jax.sharding.Mesh | None = None,
) -> T:
  """function(batch), computed on `size` rows at a time.

  Args:
    function: of each row by itself.
    batch: arrays [B, ...]; numbers stay as they are.
    size: divides B; 0, or B and more, calls the function once.
    out_axes: which axis of each result is the batch's, as `jax.vmap` takes them.
    mesh: devices over which rows are split. Every part takes equally many from each.
  """
  rows = next(len(leaf) for leaf in jax.tree.leaves(batch) if leaf.ndim)
  if not size or rows <= size:
    return function(batch)
  parts, devices = rows // size, mesh.size if mesh else 1

  def split(leaf: Array) -> Array:
    # Rows of one device stay together: nothing has to move between devices.
    shape = (devices, parts, size // devices, *leaf.shape[1:])
    leaf = leaf.reshape(shape).swapaxes(0, 1).reshape(parts, size, *leaf.shape[1:])
    if mesh is None:
      return leaf
    return jax.lax.with_sharding_constraint(leaf, sharding.rows(mesh, 1))

  def join(axis: int, leaf: Array) -> Array:
    # [parts, ..., size, ...] with `axis` counted without the parts.
    leaf = jnp.moveaxis(leaf, axis + 1, 1)
    rest = leaf.shape[2:]
    leaf = leaf.reshape(parts, devices, size // devices, *rest).swapaxes(0, 1)
    return jnp.moveaxis(leaf.reshape(rows, *rest), 0, axis)

  leaves, structure = jax.tree.flatten(batch)
  moving = [bool(leaf.ndim) for leaf in leaves]
  stacked = [split(leaf) for leaf, moves in zip(leaves, moving) if moves]

  def one(given: list[Array]) -> T:
    rest = iter(given)
    own = [next(rest) if moves else leaf for leaf, moves in zip(leaves, moving)]
    return function(jax.tree.unflatten(structure, own))

  found = jax.lax.map(one, stacked)
  below = lambda axis, part: jax.tree.map(lambda leaf: join(axis, leaf), part)
  return jax.tree.map(below, out_axes, found)
