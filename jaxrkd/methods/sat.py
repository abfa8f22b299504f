"""SAT: standard adversarial training (Madry et al., 2018, arXiv:1706.06083)."""

from jaxrkd import losses
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels


def sat() -> Method:
  """min CE(S(x'), y) with x' = argmax CE(S(x'), y); adversarial images only.

  The papers' baseline attacks with PGD-10 of 2/255 from a uniform start with BatchNorm
  in evaluation mode; `config.attack` says so.
  """

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    logits, stats = student(stats, adversarial)
    return {'adv': batch_mean(losses.cross_entropy(logits, labels(batch)), batch)}, stats

  return Method(inner.ce(), terms)
