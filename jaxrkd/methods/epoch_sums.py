"""Sums over the images of each class, from the first step of an epoch to its last.

Methods that treat classes differently look at a whole epoch before they change anything.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Tree = Any
# Name -> values [B, ...] of the images of a batch.
Seen = Mapping[str, Array]
# (memory, sums by name [classes, ...], images of each class [classes], batch) -> memory.
EndOfEpoch = Callable[[Tree, Seen, Array, Mapping[str, Any]], Tree]


class EpochSums(NamedTuple):
  """What a method with `Method.sums` keeps.

  Attributes:
    own: its memory.
    sums: name -> [classes, ...], over the images of this epoch so far.
    counts: [classes], how many these are.
    epoch: the epoch they belong to.
  """

  own: Tree
  sums: Mapping[str, Array]
  counts: Array
  epoch: Array


def nothing_seen(own: Tree, sums: Mapping[str, Array]) -> EpochSums:
  """Before the first step; `sums` are zeros, which say the shapes."""
  classes = next(iter(sums.values())).shape[0]
  counts = jnp.zeros((classes,), jnp.result_type(float))
  return EpochSums(own, dict(sums), counts, jnp.zeros((), jnp.int32))


def begun(
  kept: EpochSums, batch: Mapping[str, Any], end_of_epoch: EndOfEpoch
) -> EpochSums:
  """At the first step of a new epoch: what the last one says, and empty sums.

  Called again in the same epoch it changes nothing.
  """
  new = batch['epoch'] != kept.epoch
  after = end_of_epoch(kept.own, kept.sums, kept.counts, batch)
  own = jax.tree.map(lambda a, b: jnp.where(new, a, b).astype(b.dtype), after, kept.own)
  sums, counts = jax.tree.map(
    lambda total: jnp.where(new, jnp.zeros_like(total), total), (kept.sums, kept.counts)
  )
  return EpochSums(own, sums, counts, jnp.asarray(batch['epoch'], kept.epoch.dtype))


def added(kept: EpochSums, seen: Seen, batch: Mapping[str, Any]) -> EpochSums:
  """With the images of one more batch; padding does not count."""
  member = jax.nn.one_hot(batch['label'], len(kept.counts), dtype=kept.counts.dtype)
  if 'mask' in batch:
    member = member * batch['mask'].astype(member.dtype)[:, None]
  sums = {
    name: total + jnp.tensordot(member, seen[name].astype(total.dtype), (0, 0))
    for name, total in kept.sums.items()
  }
  return kept._replace(sums=sums, counts=kept.counts + member.sum(0))
