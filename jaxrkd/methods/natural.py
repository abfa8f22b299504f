"""Natural training: cross-entropy on clean images, no attack."""

from jaxrkd import losses
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels


def natural() -> Method:
  """Mean CE(S(x), y): clean teachers, and the undefended row of every table.

  The loss is taken on the images that the inner problem yields; its own has none.
  """

  def terms(student, stats, teachers, batch, adversarial):
    del teachers
    logits, stats = student(stats, adversarial)
    return {'nat': batch_mean(losses.cross_entropy(logits, labels(batch)), batch)}, stats

  return Method(inner.none(), terms)
