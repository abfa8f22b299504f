"""Adaptive Normalization Loss: MTARD's balance of two losses as a gradient for optax.

Zhao et al., 2022, equations (6)-(11). Each loss is measured against its own first value;
the one that has fallen less gets more weight.
"""

import jax
import jax.numpy as jnp

from jaxrkd.errors import InputError, in_range, one_of
from jaxrkd.methods.base import Batch, Terms, Tree

Array = jax.Array


def initial_memory(names: tuple[str, ...]) -> Tree:
  """Nothing seen yet: first losses, smoothed losses, and how many made the first."""
  zeros = {name: jnp.zeros(()) for name in names}
  return {'first': zeros, 'smooth': dict(zeros), 'seen': jnp.zeros((), jnp.int32)}


def check_options(anl_ema: float, anl_init: str, anl_beta: float) -> None:
  """Raises `InputError` for options that make no sense."""
  in_range(anl_beta, 0, float('inf'), 'method.anl_beta')
  one_of(anl_init, ('batch', 'epoch'), 'method.anl_init')
  if not 0 <= anl_ema < 1:
    raise InputError(
      f'method.anl_ema is {anl_ema}; it must be at least 0 and less than 1'
    )


def observe(
  memory: Tree,
  terms: Terms,
  batch: Batch,
  *,
  anl_ema: float,
  anl_init: str,
) -> Tree:
  """Takes in one step's losses.

  Args:
    memory: see `initial_memory`.
    terms: the step's unweighted losses.
    batch: for its `step` and `epoch`.
    anl_ema: share of the old smoothed loss that stays; 0 takes the losses as they are.
    anl_init: 'batch' takes L(0) from the first mini-batch (the code), 'epoch' from the
      mean over the first epoch.
  """
  opening = batch['step' if anl_init == 'batch' else 'epoch'] == 0
  seen = memory['seen'] + opening.astype(jnp.int32)

  def first(old: Array, new: Array) -> Array:
    return jnp.where(opening, old + (new - old) / jnp.maximum(seen, 1), old)

  def smooth(old: Array, new: Array, start: Array) -> Array:
    # While L(0) is being found the relative losses are 1, so the weights rest.
    return jnp.where(opening, start, anl_ema * old + (1 - anl_ema) * new)

  starts = {name: first(memory['first'][name], terms[name]) for name in terms}
  smoothed = {
    name: smooth(memory['smooth'][name], terms[name], starts[name]) for name in terms
  }
  return {'first': starts, 'smooth': smoothed, 'seen': seen}


def shares(memory: Tree, beta: float) -> Terms:
  """r_i = (L_i / L_i(0))^beta, normalised to sum to 1 (equations 7 and 8)."""
  # A divergence is positive, but rounding and the 1e-5 of MTARD's code can push a nearly
  # perfect match just below 0.
  floor = 1e-12
  powers = {
    name: (jnp.maximum(value, floor) / jnp.maximum(memory['first'][name], floor)) ** beta
    for name, value in memory['smooth'].items()
  }
  total = sum(powers.values(), start=jnp.zeros(()))
  return {name: power / total for name, power in powers.items()}


def gradient(weights: Tree, memory: Tree, *, beta: float) -> Tree:
  """w - r: one step of `optax.sgd(r_w)` gives r_w r + (1 - r_w) w, equation (10)."""
  return jax.tree.map(jnp.subtract, weights, shares(memory, beta))


def report(weights: Tree, memory: Tree, terms: Terms) -> Terms:
  """The weights and the relative losses L(t) / L(0) of MTARD's Figure 4."""
  relative = {
    f'relative_{name}': value / jnp.maximum(memory['first'][name], 1e-12)
    for name, value in terms.items()
  }
  return {**{f'weight_{name}': value for name, value in weights.items()}, **relative}
