"""Inner problems: what the attack raises while a student learns.

Every method has one of its own; `config.inner` puts any of them under any method. An
inner problem is one function here plus one row in `INNERS`: (**options) -> `Inner`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import in_range
from jaxrkd.methods.answering import at_the_door

Array = jax.Array
Batch = Mapping[str, Array]
LogitsFn = Callable[[Array], Array]
Objective = Callable[[Array], Array]  # images [B, H, W, C] -> [B]
Teachers = Mapping[str, Callable[..., Array]]


class _InnerFields(NamedTuple):
  prepare: Callable[[Teachers, Batch], Callable[[LogitsFn], Objective]] | None
  teachers: tuple[str, ...] = ()


class Inner(_InnerFields):
  """An inner problem, in three stages so that nothing is computed twice.

  Attributes:
    prepare: (teachers, batch) -> (student logits_fn -> (images -> [B])). The first stage
      runs once a batch: a teacher's prediction on clean images belongs there. The second
      runs once for a student in evaluation mode: its own clean prediction. The third runs
      at every step of the attack. None leaves the images clean.
    teachers: roles it asks for.
  """

  __slots__ = ()

  def __new__(cls, prepare, teachers=()):
    checked = prepare and at_the_door(prepare, 0, lambda: teachers)
    return super().__new__(cls, checked, teachers)


def _labels(batch: Batch) -> Array:
  return batch.get('target', batch['label'])


def none() -> Inner:
  """No attack: x' = x."""
  return Inner(None)


def ce() -> Inner:
  """CE(S(x'), y): SAT, FFGSM, MART, ARD, IAD, MTARD, AKD."""

  def prepare(teachers, batch):
    del teachers
    return lambda student: lambda x: losses.cross_entropy(student(x), _labels(batch))

  return Inner(prepare)


def margin() -> Inner:
  """max_{j != y} z_j - z_y of the student: the loss of CW_inf."""

  def prepare(teachers, batch):
    del teachers
    return lambda student: lambda x: losses.margin(student(x), batch['label'])

  return Inner(prepare)


def kl_clean_self() -> Inner:
  """KL(S(x) || S(x')) with S(x) fixed: TRADES."""

  def prepare(teachers, batch):
    del teachers

    def of_student(student):
      target = jax.lax.stop_gradient(student(batch['image']))
      return lambda x: losses.kl(target, student(x))

    return of_student

  return Inner(prepare)


def kl_teacher_clean(teacher: str = 'robust') -> Inner:
  """KL(T(x) || S(x')), T(x) computed once: RSLAD.

  Args:
    teacher: a kind, 'all', or a teacher's name.
  """

  def prepare(teachers, batch):
    target = teachers[teacher](batch['image'])
    return lambda student: lambda x: losses.kl(target, student(x))

  return Inner(prepare, (teacher,))


def kl_learning_teacher() -> Inner:
  """KL(P(x) || S(x')) with the network that is trained along as P, in evaluation mode: PeerAiD."""

  def prepare(teachers, batch):
    target = teachers['online'](batch['image'])
    return lambda student: lambda x: losses.kl(target, student(x))

  return Inner(prepare)


def kl_teacher_adv(teacher: str = 'robust', input_grad: bool = True) -> Inner:
  """KL(T(x') || S(x')), the teacher asked again at every step: MMARD, AdaAD.

  Args:
    teacher: a kind, 'all', or a teacher's name.
    input_grad: let the gradient reach x' through the teacher too, as AdaAD's code and
      MMARD's Algorithm 1 do.
  """

  def prepare(teachers, batch):
    del batch

    def target(x):
      logits = teachers[teacher](x)
      return logits if input_grad else jax.lax.stop_gradient(logits)

    return lambda student: lambda x: losses.kl(target(x), student(x))

  return Inner(prepare, (teacher,))


def kl_teacher_linear(teacher: str = 'robust', slope: float = 1.0) -> Inner:
  """KL(T(x) + slope <g, x' - x> e_y || S(x')), g the gradient of T_y at x: SAAD.

  The teacher is asked once, and once for its gradient. The gradient of the attack passes
  through the correction, too.

  Args:
    teacher: a kind, 'all', or a teacher's name.
    slope: share of the correction; 0 is RSLAD's problem.
  """
  in_range(slope, 0, float('inf'), 'inner.slope')

  def prepare(teachers, batch):
    clean = batch['image']
    logits, pull = jax.vjp(lambda x: teachers[teacher](x), clean)
    own = jax.nn.one_hot(batch['label'], logits.shape[-1], dtype=logits.dtype)
    (gradient,) = pull(own)

    def target(x):
      axes = tuple(range(1, x.ndim))
      rise = jnp.sum(gradient * (x - clean), axis=axes)
      return logits + slope * rise[:, None] * own

    return lambda student: lambda x: losses.kl(target(x), student(x))

  return Inner(prepare, (teacher,))


def mixed_target(teacher: str = 'robust', alpha: float = 0.5) -> Inner:
  """KL(alpha T(x) + (1 - alpha) y || S(x')): RSLAD with label mixing in the attack.

  Args:
    teacher: a kind, 'all', or a teacher's name.
    alpha: share of the teacher; the rest is the label.
  """
  in_range(alpha, 0, 1, 'inner.alpha')

  def prepare(teachers, batch):
    probs = jax.nn.softmax(teachers[teacher](batch['image']))
    own = batch.get('target')
    if own is None:
      own = jax.nn.one_hot(batch['label'], probs.shape[-1], dtype=probs.dtype)
    target = alpha * probs + (1 - alpha) * own
    # The target's entropy is a constant of the attack.
    return lambda student: lambda x: losses.cross_entropy(student(x), target)

  return Inner(prepare, (teacher,))


INNERS: dict[str, Callable[..., Any]] = {
  'none': none,
  'ce': ce,
  'margin': margin,
  'kl_clean_self': kl_clean_self,
  'kl_teacher_clean': kl_teacher_clean,
  'kl_teacher_adv': kl_teacher_adv,
  'kl_teacher_linear': kl_teacher_linear,
  'mixed_target': mixed_target,
}
