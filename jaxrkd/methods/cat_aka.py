"""CAT-AKA: equal students that learn from their amalgam (Hamidi & Ye, section 6; no code)."""

import jax

from jaxrkd import losses
from jaxrkd.amalgamation import amalgamation as make_rule
from jaxrkd.errors import InputError, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels
from jaxrkd.methods.divergence import squared_distance


def cat_aka(
  students: int = 3,
  amalgamation: str = 'soft',
  alpha: float = 0.1,
  beta: float = 1.0,
  target_bn: str = 'train',
  mse_reduction: str = 'class_sum',
  stop_gradient: bool = True,
) -> Method:
  """sum_i (1 - alpha) CE(S_i(x'_i), y) + alpha |z_i - z|^2, z from all z_j (equation 9).

  Each student has its own particle; afterwards each is a network of its own, and the one
  with the best score on the selection split is the run's student.

  Args:
    students: how many, all of `config.student`'s architecture.
    amalgamation: 'naive', 'linear' or 'soft'; see `amalgamation`.
    alpha: weight of the distillation. The paper tunes it and prints no value.
    beta: of 'soft'.
    target_bn: of the forward that z is taken from: 'train' is the students' own, 'eval'
      a second one with running statistics.
    mse_reduction: 'class_sum' is the squared norm as printed, 'class_mean' divides it by
      the number of classes.
    stop_gradient: hold z fixed; False lets each student pull it towards itself.

  Raises:
    InputError: an option that is unknown or out of range.
  """
  if students < 2:
    raise InputError(
      f'method.students is {students}; it must be at least 2, because students learn '
      'from each other'
    )
  in_range(alpha, 0, 1, 'method.alpha')
  if amalgamation == 'pareto':
    raise InputError(
      'method.amalgamation is pareto, which needs a student beside the networks that it '
      'mixes; cat_aka takes naive, linear or soft'
    )
  one_of(target_bn, ('train', 'eval'), 'method.target_bn')
  rule = make_rule(amalgamation, beta)
  distance = squared_distance(mse_reduction)

  def terms(networks, stats, teachers, batch, adversarial):
    del teachers
    logits, stats = networks.group(stats, adversarial.particles)
    answers = logits
    if target_bn == 'eval':
      answers = networks.still(stats, adversarial.particles)
    if stop_gradient:
      answers = jax.lax.stop_gradient(answers)
    target = rule(answers, labels(batch), stop=stop_gradient)
    found = {}
    for k, z in enumerate(logits, 1):
      found[f'ce_{k}'] = batch_mean(losses.cross_entropy(z, labels(batch)), batch)
      found[f'distill_{k}'] = batch_mean(distance(z, target), batch)
    return found, stats

  def total(found, weights):
    del weights
    ce = sum(value for name, value in found.items() if name.startswith('ce_'))
    far = sum(value for name, value in found.items() if name.startswith('distill_'))
    return (1 - alpha) * ce + alpha * far

  return Method(inner.ce(), terms, total=total, group='students', students=students)
