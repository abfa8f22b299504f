"""ABSLD: RSLAD with a temperature of the teacher for every class, for fair robustness.

Zhao et al., Improving Adversarial Robust Fairness via Anti-Bias Soft Label Distillation,
NeurIPS 2024. A class that the student finds hard gets a sharper teacher in the next epoch.
"""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import in_range
from jaxrkd.methods.base import Batch, Method, Terms, Tree, forward_both, labels
from jaxrkd.methods.divergence import Divergence
from jaxrkd.methods.epoch_sums import Seen
from jaxrkd.methods.inner import Inner

Array = jax.Array

NAMES = ('adv', 'nat')


def absld(
  adv_weight: float = 5 / 6,
  tau_rate: float = 0.1,
  tau_min: float = 0.5,
  tau_max: float = 5.0,
  shared_storage: bool = False,
  teacher: str = 'robust',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 0.1,
  kl_epsilon: float = 1e-5,
) -> Method:
  """5/6 KL(T(x) / tau_adv[y] || S(x')) + 1/6 KL(T(x) / tau_nat[y] || S(x)).

  x' raises KL(T(x) / tau_adv[y] || S(x')). All temperatures begin at 1. After an epoch d_c
  is the mean cross-entropy of class c less the mean over the classes, of x' and of x, and
  tau[c] falls by tau_rate d_c / max |d|. The rate falls with the learning rate.

  Args:
    adv_weight: weight of the adversarial term; the clean term has the rest.
    tau_rate: largest change of a temperature after an epoch.
    tau_min: lower end of the temperatures.
    tau_max: their upper end.
    shared_storage: divide by tau_adv[y] tau_nat[y] everywhere, as the released code does:
      its two tempered arrays share their memory.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'batch_mean' sums over classes, 'element_mean' divides by their number.
    kl_scale: factor on both terms; the code's element mean on CIFAR-10 is 0.1.
    kl_epsilon: added inside log p of the teacher, as the code does.
  """
  in_range(adv_weight, 0, 1, 'method.adv_weight')
  in_range(tau_rate, 0, float('inf'), 'method.tau_rate')
  in_range(tau_min, 1e-3, 1, 'method.tau_min')
  in_range(tau_max, 1, float('inf'), 'method.tau_max')
  divergence = Divergence(kl_reduction, kl_scale, kl_epsilon)

  def temperature(batch: Batch, name: str):
    memory = batch['memory']
    tau = memory['adv'] * memory['nat'] if shared_storage else memory[name]
    return tau[batch['label']][:, None]

  def prepare(teachers, batch):
    target = teachers[teacher](batch['image'], temperature(batch, 'adv'))
    return lambda student: lambda x: losses.kl(target, student(x))

  def terms(student, stats, teachers, batch, adversarial):
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, 'adv_nat')
    found = {}
    for name in NAMES:
      target = teachers[teacher](batch['image'], temperature(batch, name))
      found[name] = divergence(target, logits[name], batch)
    seen = {name: losses.cross_entropy(logits[name], labels(batch)) for name in NAMES}
    return found, stats, seen

  def total(terms, weights):
    del weights
    return adv_weight * terms['adv'] + (1 - adv_weight) * terms['nat']

  def end_of_epoch(memory: Tree, sums: Seen, counts: Array, batch: Batch) -> Tree:
    there = counts > 0
    changed = {}
    for name in NAMES:
      mean = sums[name] / jnp.maximum(counts, 1)
      middle = jnp.sum(jnp.where(there, mean, 0)) / jnp.maximum(jnp.sum(there), 1)
      harder = jnp.where(there, mean - middle, 0)
      largest = jnp.maximum(jnp.max(jnp.abs(harder)), 1e-12)
      moved = memory[name] - tau_rate * batch['rate'] * harder / largest
      changed[name] = jnp.clip(moved, tau_min, tau_max)
    return changed

  def report(weights, memory: Tree, terms: Terms) -> Terms:
    del weights, terms
    return {
      f'tau_{name}_{end}': find(memory[name])
      for name in NAMES
      for end, find in (('min', jnp.min), ('max', jnp.max))
    }

  return Method(
    Inner(prepare, (teacher,)),
    terms,
    (teacher,),
    total,
    memory=lambda classes: {name: jnp.ones(classes) for name in NAMES},
    report=report,
    sums=lambda classes: {name: jnp.zeros(classes) for name in NAMES},
    end_of_epoch=end_of_epoch,
  )
