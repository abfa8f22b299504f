"""IAD-I: introspective adversarial distillation (Zhu et al., ICLR 2022, 2106.04928)."""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import (
  FORWARD_ORDERS,
  Method,
  batch_mean,
  choose_stats,
  labels,
)
from jaxrkd.methods.divergence import Divergence


def iad_1(
  alpha: float = 1.0,
  temperature: float = 1.0,
  beta: float = 0.1,
  begin: int = 60,
  weight_teacher: bool = False,
  detach_self: bool = False,
  teacher: str = 'robust',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 1.0,
  forward_order: str = 'adv_nat',
) -> Method:
  """ARD that trusts the teacher less where the teacher is wrong, and itself more.

  (1 - alpha) CE(S(x), y) + alpha t^2 KL(T^t(x) || S^t(x'))
  + alpha mean (1 - A) KL(S(x) || S(x')), with A = T_y(x')^beta, of temperature 1 and
  constant. The last term joins after the warm-up. x' raises CE(S(x'), y), with
  `config.attack.bn=train` in the code.

  The released code passes x' twice and, after the warm-up, x twice through the
  training-mode student; the running statistics show it and this does the same.

  Args:
    alpha: share of the teacher and of the student's own prediction.
    temperature: t, of the teacher's term only.
    beta: exponent of A; 0.1 keeps A high: p_y = 0.01 still gives 0.63.
    begin: epochs of warm-up without the student's own term.
    weight_teacher: multiply the teacher's term by A, as the formula in MMARD has it; the
      code does not.
    detach_self: stop the gradient through S(x) in the last term; the code does not.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'batch_mean' as in the code, or 'element_mean', for both KL terms.
    kl_scale: factor on both KL terms.
    forward_order: 'adv_nat' as in the code, or 'nat_adv'.
  """
  in_range(alpha, 0, 1, 'method.alpha')
  in_range(beta, 0, float('inf'), 'method.beta')
  in_range(begin, 0, float('inf'), 'method.begin')
  above_zero(temperature, 'method.temperature')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  divergence = Divergence(kl_reduction, kl_scale)

  def terms(student, stats, teachers, batch, adversarial):
    warming = batch['epoch'] < begin
    for images in forward_order.split('_'):
      # The second pass of each gives the same values; the compiler computes them once.
      if images == 'adv':
        adv, stats = student(stats, adversarial)
        _, stats = student(stats, adversarial)
      else:
        nat, once = student(stats, batch['image'])
        own, twice = student(once, batch['image'])
        stats = choose_stats(warming, once, twice)
    trust = losses.true_probability(teachers[teacher](adversarial), labels(batch)) ** beta
    target = teachers[teacher](batch['image'], temperature)
    weight = trust if weight_teacher else 1.0
    if detach_self:
      own = jax.lax.stop_gradient(own)
    introspection = divergence(own, adv, batch, 1 - trust)
    found = {
      'label': batch_mean(losses.cross_entropy(nat, labels(batch)), batch),
      'teacher': temperature**2 * divergence(target, adv / temperature, batch, weight),
      'self': jnp.where(warming, 0, introspection),
    }
    return found, stats

  def total(terms, weights):
    del weights
    return (1 - alpha) * terms['label'] + alpha * (terms['teacher'] + terms['self'])

  return Method(inner.ce(), terms, (teacher,), total)
