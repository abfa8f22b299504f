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
    equal: the mean of the parameters after each epoch that counts. Checkpoints know these
      attributes by name.
    epochs: how many these are, so far.
  """

  moving: Tree
  equal: Tree
  epochs: Array


def first_averages(params: Tree, moving: bool, over_epochs: bool) -> Tree:
  """Before the first step: `Averages`, or the moving one alone, which may be an empty tree."""
  # Copies, so that parameters and averages never share a donated buffer.
  own = jax.tree.map(jnp.copy, params) if moving else {}
  if not over_epochs:
    return own
  return Averages(own, jax.tree.map(jnp.copy, params), jnp.zeros((), jnp.int32))


def moving_average(kept: Tree) -> Tree:
  """The moving average of what a network keeps; an empty tree where there is none."""
  return kept.moving if isinstance(kept, Averages) else kept


def epoch_average(kept: Tree) -> Tree:
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
  epoch_decay: float = 0.0,
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
    epoch_decay: share of the old average over epochs that stays at the end of another one;
      0 weighs all epochs alike.
  """
  moving = update_average(moving_average(kept), params, step, decay, warmup)
  if not isinstance(kept, Averages):
    return moving
  done = step + 1
  counts = (done % steps_per_epoch == 0) & (done // steps_per_epoch >= start)

  def grown(mean: Tree) -> Tree:
    def leaf(old: Array, new: Array) -> Array:
      if not epoch_decay:
        return old + (new - old) / (kept.epochs + 1).astype(old.dtype)
      # The first epoch that counts is all there is.
      return jnp.where(kept.epochs == 0, new, old + (1 - epoch_decay) * (new - old))

    return jax.tree.map(leaf, mean, params)

  mean = jax.lax.cond(counts, grown, lambda mean: mean, kept.equal)
  return Averages(moving, mean, kept.epochs + counts.astype(kept.epochs.dtype))
