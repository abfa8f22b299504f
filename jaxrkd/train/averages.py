"""Averages of a network's parameters: a moving one (EMA), and one over epochs (SWA)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.optimizers import update_average

Array = jax.Array
Tree = Any


class Averages(NamedTuple):
  """What a network keeps where an average over epochs is wanted.

  Attributes:
    moving: the moving average; an empty tree where none is kept.
    equal: the mean of the parameters after each epoch that counts.
    epochs: how many these are, so far.
  """

  moving: Tree
  equal: Tree
  epochs: Array


def first_averages(params: Tree, moving: bool, equal: bool) -> Tree:
  """Before the first step: `Averages`, or the moving one alone, which may be an empty tree."""
  # Copies, so that parameters and averages never share a donated buffer.
  own = jax.tree.map(jnp.copy, params) if moving else {}
  if not equal:
    return own
  return Averages(own, jax.tree.map(jnp.copy, params), jnp.zeros((), jnp.int32))


def moving_average(kept: Tree) -> Tree:
  """The moving average of what a network keeps; an empty tree where there is none."""
  return kept.moving if isinstance(kept, Averages) else kept


def equal_average(kept: Tree) -> Tree:
  """The average over epochs; an empty tree where there is none, or no epoch counted yet."""
  return kept.equal if isinstance(kept, Averages) else {}


def updated(
  kept: Tree,
  params: Tree,
  step: Array,
  *,
  decay: float,
  warmup: bool,
  start: int,
  steps_per_epoch: int,
) -> Tree:
  """The averages after an update.

  Args:
    kept: before it.
    params: after it.
    step: number of the update, from 0.
    decay: see `update_average`.
    warmup: see `update_average`.
    start: the first epoch, from 1, whose end counts in the average over epochs.
    steps_per_epoch: updates per epoch.
  """
  moving = update_average(moving_average(kept), params, step, decay, warmup)
  if not isinstance(kept, Averages):
    return moving
  done = step + 1
  counts = (done % steps_per_epoch == 0) & (done // steps_per_epoch >= start)

  def grown(equal: Tree) -> Tree:
    return jax.tree.map(
      lambda old, new: old + (new - old) / (kept.epochs + 1).astype(old.dtype),
      equal,
      params,
    )

  equal = jax.lax.cond(counts, grown, lambda equal: equal, kept.equal)
  return Averages(moving, equal, kept.epochs + counts.astype(kept.epochs.dtype))
