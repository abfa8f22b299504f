"""ARD: adversarially robust distillation (Goldblum et al., AAAI 2020, 1905.09747)."""

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import (
  FORWARD_ORDERS,
  Method,
  batch_mean,
  forward_both,
  labels,
)
from jaxrkd.methods.divergence import Divergence


def ard(
  alpha: float = 1.0,
  temperature: float = 30.0,
  teacher: str = 'robust',
  kl_reduction: str = 'element_mean',
  kl_scale: float = 1.0,
  forward_order: str = 'adv_nat',
) -> Method:
  """(1 - alpha) CE(S(x), y) + alpha t^2 KL(T^t(x) || S^t(x')); x' raises CE(S(x'), y).

  The code attacks with BatchNorm in training mode from an unclamped uniform start
  (`config.attack.bn=train`, `start=uniform_noclamp`). The clean pass runs, and moves the
  running statistics, at alpha = 1 too.

  Args:
    alpha: share of the teacher: 1 on CIFAR-10, 0.95 on CIFAR-100 (MTARD).
    temperature: t: 30 on CIFAR-10, 5 on CIFAR-100 (MTARD).
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'element_mean' as in the code, or 'batch_mean'.
    kl_scale: factor on the teacher's term.
    forward_order: 'adv_nat' as in the code, or 'nat_adv'.
  """
  in_range(alpha, 0, 1, 'method.alpha')
  above_zero(temperature, 'method.temperature')
  one_of(forward_order, FORWARD_ORDERS, 'method.forward_order')
  divergence = Divergence(kl_reduction, kl_scale)

  def terms(student, stats, teachers, batch, adversarial):
    images = {'adv': adversarial, 'nat': batch['image']}
    logits, stats = forward_both(student, stats, images, forward_order)
    target = teachers[teacher](batch['image'], temperature)
    matched = divergence(target, logits['adv'] / temperature, batch)
    found = {
      'label': batch_mean(losses.cross_entropy(logits['nat'], labels(batch)), batch),
      'teacher': temperature**2 * matched,
    }
    return found, stats

  def total(terms, weights):
    del weights
    return (1 - alpha) * terms['label'] + alpha * terms['teacher']

  return Method(inner.ce(), terms, (teacher,), total)
