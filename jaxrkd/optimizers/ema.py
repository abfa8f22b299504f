"""Exponential moving average of parameters."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.errors import InputError

Tree = Any


def check_decay(decay: float) -> float:
  """Returns `decay` if it is in [0, 1); 0 means no average is kept."""
  if not 0 <= decay < 1:
    raise InputError(f'ema.decay is {decay}; it must be from 0 (off) to below 1')
  return decay


def update_average(
  average: Tree, params: Tree, step: jax.Array, decay: float, warmup: bool
) -> Tree:
  """decay * average + (1 - decay) * params.

  Args:
    average: the old average; an empty tree where none is kept.
    params: as they are after update number `step`, counted from 0.
    step: integer.
    decay: share of the old average that stays.
    warmup: begin with the smaller (1 + t) / (10 + t), as Gowal et al. do, so that the
      random start is forgotten.
  """
  if not jax.tree.leaves(average):
    return average
  share = jnp.asarray(decay)
  if warmup:
    share = jnp.minimum(share, (1 + step) / (10 + step))
  return jax.tree.map(
    lambda old, new: old + (1 - share).astype(old.dtype) * (new - old), average, params
  )
