"""SAT: standard adversarial training (Madry et al., 2018, arXiv:1706.06083)."""

from jaxrkd import losses
from jaxrkd.methods.base import Method, batch_mean, sum_of_terms


def label_objective(student, teachers, batch):
  """CE(S(x'), y), the inner problem of every method that attacks the label."""
  del teachers
  return lambda images: losses.cross_entropy(student(images), batch['label'])


def sat() -> Method:
  """min CE(S(x'), y) with x' = argmax CE(S(x'), y); adversarial images only.

  The papers' baseline attacks with PGD-10 of 2/255 from a uniform start with BatchNorm
  in evaluation mode; `config.attack` says so.
  """

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    logits, stats = student(stats, adversarial)
    ce = batch_mean(losses.cross_entropy(logits, batch['label']), batch)
    return {'adv': ce}, stats

  return Method(teachers=(), objective=label_objective, terms=terms, total=sum_of_terms)
