"""IAD-II: introspective distillation from a robust and a clean teacher (2106.04928)."""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import InputError, above_zero, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import (
  FORWARD_ORDERS,
  Method,
  batch_mean,
  choose_stats,
  labels,
)
from jaxrkd.methods.divergence import Divergence


def iad_2(
  alpha1: float = 0.5,
  alpha2: float = 0.25,
  temperature: float = 1.0,
  beta: float = 0.1,
  begin: int = 40,
  detach_self: bool = False,
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 1.0,
  forward_order: str = 'adv_nat',
) -> Method:
  """AKD2's mixture of label, robust and clean teacher, with IAD's trust in the first.

  (1 - alpha1 - alpha2) CE(S(x'), y)
  + alpha1 t^2 mean [A KL(T_robust^t(x') || S^t(x')) + (1 - A) KL(S(x) || S(x'))]
  + alpha2 t^2 KL(T_clean^t(x') || S^t(x')), with A = T_robust,y(x')^beta, constant.
  During the warm-up A = 1 and the clean pass does not touch the running statistics. x'
  raises CE(S(x'), y), with `config.attack.bn=train` in the code.

  Args:
    alpha1: share of the robust teacher and the student's own prediction.
    alpha2: share of the clean teacher.
    temperature: t, of the teachers' terms; t^2 multiplies the student's own term too.
    beta: exponent of A.
    begin: epochs of warm-up.
    detach_self: stop the gradient through S(x); the code does not.
    kl_reduction: 'batch_mean' as in the code, or 'element_mean', for all KL terms.
    kl_scale: factor on all KL terms.
    forward_order: 'adv_nat' as in the code, or 'nat_adv'.
  """
  in_range(alpha1, 0, 1, 'method.alpha1')
  in_range(alpha2, 0, 1, 'method.alpha2')
  if alpha1 + alpha2 > 1 + 1e-9:
    raise InputError(
      f'method.alpha1 + method.alpha2 is {alpha1 + alpha2:g}; their sum must be at most '
      '1, because the label has the rest of the share; lower one of them'
    )
  in_range(beta, 0, float('inf'), 'method.beta')
  in_range(begin, 0, float('inf'), 'method.begin')
  above_zero(temperature, 'method.temperature')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  divergence = Divergence(kl_reduction, kl_scale)

  def terms(student, stats, teachers, batch, adversarial):
    warming = batch['epoch'] < begin
    for images in forward_order.split('_'):
      if images == 'adv':
        adv, stats = student(stats, adversarial)
      else:
        own, moved = student(stats, batch['image'])
        stats = choose_stats(warming, stats, moved)
    trust = (
      losses.true_probability(teachers['robust'](adversarial), labels(batch)) ** beta
    )
    trust = jnp.where(warming, 1, trust)
    if detach_self:
      own = jax.lax.stop_gradient(own)
    square, cool = temperature**2, adv / temperature
    robust = divergence(teachers['robust'](adversarial, temperature), cool, batch, trust)
    clean = divergence(teachers['clean'](adversarial, temperature), cool, batch)
    found = {
      'label': batch_mean(losses.cross_entropy(adv, labels(batch)), batch),
      'robust': square * robust,
      'self': square * divergence(own, adv, batch, 1 - trust),
      'clean': square * clean,
    }
    return found, stats

  def total(terms, weights):
    del weights
    rest = 1 - alpha1 - alpha2
    return (
      rest * terms['label']
      + alpha1 * (terms['robust'] + terms['self'])
      + alpha2 * terms['clean']
    )

  return Method(inner.ce(), terms, ('clean', 'robust'), total)
