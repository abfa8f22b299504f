"""AdaIAD: IAD-I on AdaAD's inner problem (Huang et al., CVPR 2023, its released code)."""

import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import above_zero, in_range
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, choose_stats, labels
from jaxrkd.methods.divergence import Divergence


def ada_iad(
  alpha: float = 1.0,
  temperature: float = 30.0,
  beta: float = 0.1,
  begin: int = 60,
  teacher: str = 'robust',
) -> Method:
  """alpha [t^2 KL(T^t(x') || S^t(x')) + (1 - A) KL(S(x) || S(x'))] + (1 - alpha) CE(S(x), y).

  A = T_y(x')^beta is constant; S(x) in the second term is not, and it joins after the
  warm-up. x' raises KL(T(x') || S(x')).

  The released code passes x through the training-mode student up to three times; the
  running statistics show it and this does the same.

  Args:
    alpha: share of the teacher and of the student's own prediction.
    temperature: t, of the teacher's term alone.
    beta: exponent of A.
    begin: epochs of warm-up without the student's own term.
    teacher: 'all', a kind ('clean', 'robust'), or a teacher's name.
  """
  in_range(alpha, 0, 1, 'method.alpha')
  in_range(beta, 0, float('inf'), 'method.beta')
  in_range(begin, 0, float('inf'), 'method.begin')
  above_zero(temperature, 'method.temperature')
  divergence = Divergence()

  def terms(student, stats, teachers, batch, adversarial):
    warming = batch['epoch'] < begin
    # Every pass of x gives the same values; the compiler computes them once.
    own, stats = student(stats, batch['image'])
    adv, stats = student(stats, adversarial)
    _, twice = student(stats, batch['image'])
    nat, stats = student(choose_stats(warming, stats, twice), batch['image'])
    target = teachers[teacher](adversarial, temperature)
    trust = losses.true_probability(teachers[teacher](adversarial), labels(batch)) ** beta
    return {
      'label': batch_mean(losses.cross_entropy(nat, labels(batch)), batch),
      'teacher': temperature**2 * divergence(target, adv / temperature, batch),
      'self': jnp.where(warming, 0, divergence(own, adv, batch, 1 - trust)),
    }, stats

  def total(terms, weights):
    del weights
    return (1 - alpha) * terms['label'] + alpha * (terms['teacher'] + terms['self'])

  return Method(inner.kl_teacher_adv(teacher), terms, (teacher,), total)
