"""CKD: knowledge distillation on clean images (Hinton et al., 2015, arXiv:1503.02531)."""

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels
from jaxrkd.methods.divergence import Divergence


def ckd(
  alpha: float = 0.5,
  temperature: float = 1.0,
  teacher: str = 'all',
  kl_reduction: str = 'batch_mean',
  kl_scale: float = 1.0,
) -> Method:
  """(1 - alpha) CE(S(x), y) + alpha t^2 KL(T^t(x) || S^t(x)): no attack.

  AKD, equation (1), has t = 1; MTARD, equation (2), a temperature. The loss is taken on
  the images that the inner problem yields; its own has none.

  Args:
    alpha: share of the teacher (lambda in the papers).
    temperature: t, which divides the logits of both.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
    kl_reduction: 'batch_mean', or 'element_mean'.
    kl_scale: factor on the teacher's term.
  """
  in_range(alpha, 0, 1, 'method.alpha')
  above_zero(temperature, 'method.temperature')
  divergence = Divergence(kl_reduction, kl_scale)

  def terms(student, stats, teachers, batch, adversarial):
    logits, stats = student(stats, adversarial)
    target = teachers[teacher](adversarial, temperature)
    found = {
      'label': batch_mean(losses.cross_entropy(logits, labels(batch)), batch),
      'teacher': temperature**2 * divergence(target, logits / temperature, batch),
    }
    return found, stats

  def total(terms, weights):
    del weights
    return (1 - alpha) * terms['label'] + alpha * terms['teacher']

  return Method(inner.none(), terms, (teacher,), total)
