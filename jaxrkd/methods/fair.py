"""Fair-ARD and its kind: classes that are easily attacked count more in the next epoch.

Yue et al., Revisiting Adversarial Robustness Distillation from the Perspective of Robust
Fairness, NeurIPS 2023. Any method of one student can be made fair; four are rows.
"""

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd.errors import InputError, in_range
from jaxrkd.methods.ard import ard
from jaxrkd.methods.base import Batch, Method, Terms, Tree
from jaxrkd.methods.epoch_sums import Seen
from jaxrkd.methods.iad_1 import iad_1
from jaxrkd.methods.mtard import mtard
from jaxrkd.methods.rslad import rslad

Array = jax.Array


def made_fair(
  base: Method,
  fair_beta: float = 2.0,
  fair_min: float = 5 / 6,
  fair_max: float = 2.5,
  fair_epsilon: float = 1e-5,
) -> Method:
  """A method in which every term counts an image by a weight of its class.

  k_c is at how many points of the attack the images of class c were still right, on
  average over an epoch. The weight in the next is C u_c / sum u with u = (k + epsilon)^-beta,
  clipped and not normalised again. In the first epoch it is 1.

  Args:
    base: the method.
    fair_beta: exponent: how much more a class counts that is easily attacked.
    fair_min: smallest weight.
    fair_max: largest weight.
    fair_epsilon: keeps classes finite that never withstand; the code of Fair-RSLAD lacks
      it and then trains with weights that are no numbers.

  Raises:
    InputError: an option out of range, or a method with a group or sums of its own.
  """
  in_range(fair_beta, 0, float('inf'), 'method.fair_beta')
  in_range(fair_min, 0, 1, 'method.fair_min')
  in_range(fair_max, 1, float('inf'), 'method.fair_max')
  in_range(fair_epsilon, 0, float('inf'), 'method.fair_epsilon')
  if base.group or base.sums:
    raise InputError(
      'only a method of one student without sums of its own can be made fair'
    )

  def terms(student, stats, teachers, batch, adversarial):
    weight = batch['memory']['weight'][batch['label']]
    own = {**batch, 'memory': batch['memory']['base'], 'weight': weight}
    found, stats = base.terms(student, stats, teachers, own, adversarial)
    return found, stats, {'withstood': batch['withstood']}

  def observe(memory: Tree, found: Terms, batch: Batch) -> Tree:
    own = base.observe(memory['base'], found, {**batch, 'memory': memory['base']})
    return {**memory, 'base': own}

  def end_of_epoch(memory: Tree, sums: Seen, counts: Array, batch: Batch) -> Tree:
    del batch
    there = counts > 0
    withstood = sums['withstood'] / jnp.maximum(counts, 1)
    power = jnp.where(there, (withstood + fair_epsilon) ** -fair_beta, 0)
    shares = power / jnp.maximum(jnp.sum(power), 1e-30)
    weight = jnp.clip(jnp.sum(there) * shares, fair_min, fair_max)
    return {**memory, 'weight': jnp.where(there, weight, 1)}

  def report(weights: Tree, memory: Tree, found: Terms) -> Terms:
    ends = {'class_weight_min': jnp.min, 'class_weight_max': jnp.max}
    mine = {name: find(memory['weight']) for name, find in ends.items()}
    return {**base.report(weights, memory['base'], found), **mine}

  def weight_gradient(weights: Tree, memory: Tree, found: Terms) -> Tree:
    return base.weight_gradient(weights, memory['base'], found)

  return base._replace(
    terms=terms,
    memory=lambda classes: {'base': base.memory, 'weight': jnp.ones(classes)},
    observe=observe,
    weight_gradient=weight_gradient,
    report=report,
    counts_withstood=True,
    sums=lambda classes: {'withstood': jnp.zeros(classes)},
    end_of_epoch=end_of_epoch,
  )


def _row(base: Callable[..., Method], told: str) -> Callable[..., Method]:
  """A row of the table: the options of a method, and those of fairness."""
  fair = list(inspect.signature(made_fair).parameters.values())[1:]
  own = list(inspect.signature(base).parameters.values())

  def row(**chosen) -> Method:
    mine = {p.name: chosen.pop(p.name) for p in fair if p.name in chosen}
    return made_fair(base(**chosen), **mine)

  row.__name__ = row.__qualname__ = f'fair_{base.__name__}'
  row.__doc__ = f'{told}\n\nArguments as `{base.__name__}`. Arguments as `made_fair`.\n'
  signature = inspect.Signature([*own, *fair], return_annotation=Method)
  setattr(row, '__signature__', signature)  # noqa: B010
  return row


TOLD = 'Every term counts an image by a weight of its class, from the attacks of the epoch before.'
fair_ard = _row(ard, f'Fair-ARD: ARD for fair robustness. {TOLD}')
fair_iad = _row(iad_1, f'Fair-IAD: IAD-I for fair robustness. {TOLD}')
fair_rslad = _row(rslad, f'Fair-RSLAD: RSLAD for fair robustness. {TOLD}')
fair_mtard = _row(mtard, f'Fair-MTARD: MTARD for fair robustness. {TOLD}')
