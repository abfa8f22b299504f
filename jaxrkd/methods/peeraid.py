"""PeerAiD: a peer, trained along from scratch, teaches on images that attack the student.

Jung et al., PeerAiD: Improving Adversarial Distillation from a Specialized Peer Tutor,
CVPR 2024. The peer is not robust itself: it is right about the student's weak points.
"""

import jax

from jaxrkd import losses
from jaxrkd.errors import InputError, above_zero, in_range
from jaxrkd.methods import inner
from jaxrkd.methods.base import Method, batch_mean, labels
from jaxrkd.methods.divergence import Divergence


def peeraid(
  temperature: float = 5.0,
  peer_temperature: float = 1.0,
  label_weight: float = 0.0,
  peer_weight: float = 1.0,
  clean_weight: float = 1.0,
  peer_label_weight: float = 1.0,
  peer_student_weight: float = 0.1,
  detach_student: bool = False,
) -> Method:
  """The student learns from P(x') and S(x), the peer from y and S(x'); both from scratch.

  Student: l1 CE(S(x'), y) + l2 T^2 KL(P^T(x') || S^T(x')) + l3 T^2 KL(S^T(x) || S^T(x')).
  Peer: g1 CE(P(x'), y) + g2 t^2 KL(S^t(x') || P^t(x')). KL are means over classes. In the
  peer's loss S(x') is not constant, so that it trains the student, too. x' raises
  KL(P(x) || S(x')). BatchNorm of the student sees x' twice, then x.

  Args:
    temperature: T of the student's losses; the code has 1 on Tiny-ImageNet.
    peer_temperature: t of the peer's loss.
    label_weight: l1 of the label in the student's loss.
    peer_weight: l2 of the peer.
    clean_weight: l3 of the student's own clean answer.
    peer_label_weight: g1 of the label in the peer's loss.
    peer_student_weight: g2 of the student; the code has 0.1 on CIFAR-10, 1 on CIFAR-100.
    detach_student: S(x') is constant in the peer's loss; in the code it is not.
  """
  weights = dict(
    label_weight=label_weight,
    peer_weight=peer_weight,
    clean_weight=clean_weight,
    peer_label_weight=peer_label_weight,
    peer_student_weight=peer_student_weight,
  )
  for name, value in weights.items():
    in_range(value, 0, float('inf'), f'method.{name}')
  above_zero(temperature, 'method.temperature')
  above_zero(peer_temperature, 'method.peer_temperature')
  divergence = Divergence('element_mean')

  def tempered(target, logits, batch, t):
    return t**2 * divergence(target / t, logits / t, batch)

  def terms(networks, stats, teachers, batch, adversarial):
    del teachers
    (peer,), stats = networks.group(stats, adversarial[None])
    first, stats = networks.student(stats, adversarial)
    adv, stats = networks.student(stats, adversarial)
    nat, stats = networks.student(stats, batch['image'])
    taught = jax.lax.stop_gradient(first) if detach_student else first
    told = jax.lax.stop_gradient(peer)
    own = labels(batch)
    return {
      'label': batch_mean(losses.cross_entropy(adv, own), batch),
      'peer': tempered(told, adv, batch, temperature),
      'self': tempered(nat, adv, batch, temperature),
      'peer_label': batch_mean(losses.cross_entropy(peer, own), batch),
      'peer_student': tempered(taught, peer, batch, peer_temperature),
    }, stats

  def total(terms, weights):
    del weights
    student = label_weight * terms['label'] + peer_weight * terms['peer']
    student += clean_weight * terms['self']
    peer = peer_label_weight * terms['peer_label']
    return student + peer + peer_student_weight * terms['peer_student']

  return Method(
    inner.kl_learning_teacher(),
    terms,
    total=total,
    group='teachers',
    attacks_group=False,
    check_group=only_one('a peer'),
  )


def only_one(what: str):
  """A check that one network is trained along."""

  def check(count: int) -> None:
    if count != 1:
      raise InputError(
        f'the method trains {what} along, but config.online (online=, in Python) names '
        f'{count} networks; name one'
      )

  return check
