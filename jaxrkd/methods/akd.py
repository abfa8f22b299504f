"""AKD: adversarial knowledge distillation (Maroto et al., 2022, arXiv:2203.07159)."""

import jax

from jaxrkd import losses
from jaxrkd.errors import in_range
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, label_probs


def akd(alpha: float = 0.5, teacher: str = 'all') -> Method:
  """mean CE(S(x'), alpha T(x') + (1 - alpha) y); x' raises CE(S(x'), y).

  T is the weighted mean of the teachers' probabilities (equation 5); clean and robust
  ones may be mixed, stopped early, or trained at another eps. The same objective with KL
  differs by a constant of the student.

  Args:
    alpha: share of the teachers: 0.5 in Table S1's conservative rows, 1 without label
      mixing.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
  """
  in_range(alpha, 0, 1, 'method.alpha')

  def terms(student, stats, teachers, batch, adversarial):
    logits, stats = student(stats, adversarial)
    probs = jax.nn.softmax(teachers[teacher](adversarial))
    target = alpha * probs + (1 - alpha) * label_probs(batch, probs.shape[-1])
    return {'adv': batch_mean(losses.cross_entropy(logits, target), batch)}, stats

  return Method(inner.ce(), terms, (teacher,))
