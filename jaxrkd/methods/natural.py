"""Natural training: cross-entropy on clean images, no attack."""

from jaxrkd import losses
from jaxrkd.methods.base import Method, batch_mean, sum_of_terms


def natural() -> Method:
  """Mean CE(S(x), y): clean teachers, and the undefended row of every table."""

  def terms(student, stats, teachers, batch, adversarial):
    del teachers, adversarial
    logits, stats = student(stats, batch['image'])
    ce = batch_mean(losses.cross_entropy(logits, batch['label']), batch)
    return {'nat': ce}, stats

  return Method(teachers=(), objective=None, terms=terms, total=sum_of_terms)
