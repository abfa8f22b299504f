"""AT-AKA: adaptive amalgamation of teachers trained on the way (Hamidi & Ye; no code)."""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.amalgamation import amalgamation as make_rule
from jaxrkd.amalgamation import check_pareto
from jaxrkd.errors import in_range, one_of
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels
from jaxrkd.methods.divergence import squared_distance
from jaxrkd.particles import merge, part

STUDENT_INPUTS = ('clean', 'particles', 'own_pgd')


def at_aka(
  amalgamation: str = 'soft',
  alpha: float = 0.1,
  beta: float = 1.0,
  student_input: str = 'clean',
  teacher_inputs: str = 'own',
  teacher_bn: str = 'train',
  mse_reduction: str = 'class_sum',
  kl_direction: str = 'forward',
  stop_gradient: bool = True,
) -> Method:
  """(1 - alpha) CE(S(x), y) + alpha |z_S(x) - z_T|^2 and sum_i CE(T_i(x'_i), y).

  z_T is the amalgamation of the logits T_i(x'_i) of the teachers in `config.online`, which
  are trained along with the student, each on its own particle (equations 3 to 8). With
  'pareto' it is a mixture p_T of probabilities, and KL(p_T || p_S) takes the place of the
  squared distance.

  Args:
    amalgamation: 'naive', 'linear', 'soft' or 'pareto'; see `amalgamation`.
    alpha: weight of the distillation. The paper tunes it and prints no value.
    beta: of 'soft'.
    student_input: 'clean' as printed; 'particles' averages the student's loss over all
      x'_i; 'own_pgd' attacks the student itself by the same search.
    teacher_inputs: 'own' trains each teacher on its own particle, 'all' on those of all.
    teacher_bn: of the forward that z_T is taken from: 'train' is the one of the teachers'
      own loss, 'eval' a second one with running statistics.
    mse_reduction: 'class_sum' is the squared norm as printed, 'class_mean' divides it by
      the number of classes.
    kl_direction: 'forward' is KL(p_T || p_S), 'reverse' KL(p_S || p_T).
    stop_gradient: keep the student's loss out of the teachers. False lets it into their
      answers and their weights, which 'pareto' holds in any case.

  Raises:
    InputError: an option that is unknown or out of range.
  """
  in_range(alpha, 0, 1, 'method.alpha')
  one_of(student_input, STUDENT_INPUTS, 'method.student_input')
  one_of(teacher_inputs, ('own', 'all'), 'method.teacher_inputs')
  one_of(teacher_bn, ('train', 'eval'), 'method.teacher_bn')
  one_of(kl_direction, ('forward', 'reverse'), 'method.kl_direction')
  rule = make_rule(amalgamation, beta)
  distance = squared_distance(mse_reduction)
  pareto = amalgamation == 'pareto'

  def students_loss(z, target_of, batch):
    """CE and distillation of one set of student's logits [B, classes], per image."""
    target = target_of(z)
    if not pareto:
      far = distance(z, target)
    elif kl_direction == 'forward':
      far = losses.kl(target, z)
    else:
      far = losses.kl(z, target)
    return losses.cross_entropy(z, labels(batch)), far

  def terms(networks, stats, teachers, batch, adversarial):
    del teachers
    particles = adversarial.particles
    count = particles.shape[0]
    everyone = merge(particles)
    fed = particles
    if teacher_inputs == 'all':
      fed = jnp.broadcast_to(everyone, (count, *everyone.shape))
    logits, stats = networks.group(stats, fed)
    if teacher_inputs == 'all':
      # [teacher, particle, B, classes]
      logits = jax.vmap(lambda z: part(z, count))(logits)
      own = logits[jnp.arange(count), jnp.arange(count)]
      learned = jnp.mean(_ce(logits, batch), axis=1)
    else:
      own, learned = logits, _ce(logits, batch)
    found = {f'teacher_{k + 1}': batch_mean(learned[k], batch) for k in range(count)}
    answers = networks.still(stats, particles) if teacher_bn == 'eval' else own
    if stop_gradient:
      answers = jax.lax.stop_gradient(answers)

    def target_of(z):
      return rule(answers, labels(batch), jax.lax.stop_gradient(z), stop=stop_gradient)

    images = {
      'clean': batch['image'],
      'own_pgd': adversarial.student,
      'particles': everyone,
    }[student_input]
    z, stats = networks.student(stats, images)
    rows = part(z, count if student_input == 'particles' else 1)
    pairs = [students_loss(row, target_of, batch) for row in rows]
    for name, column in zip(('ce', 'distill'), zip(*pairs)):
      found[name] = batch_mean(jnp.mean(jnp.stack(column), axis=0), batch)
    return found, stats

  def total(found, weights):
    del weights
    learned = [value for name, value in found.items() if name.startswith('teacher_')]
    return (1 - alpha) * found['ce'] + alpha * found['distill'] + sum(learned)

  def check_group(count):
    if pareto:
      check_pareto(count, 'method.amalgamation')

  return Method(
    inner.ce(),
    terms,
    total=total,
    group='teachers',
    attacks_student=student_input == 'own_pgd',
    check_group=check_group,
  )


def _ce(logits, batch):
  """The cross-entropy [..., B] of logits [..., B, classes]."""
  own = labels(batch)
  lead = logits.shape[: logits.ndim - 2]
  return losses.cross_entropy(logits, jnp.broadcast_to(own, (*lead, *own.shape)))
