"""What `attack_images` says of numbers that may be too high."""

import jax
import numpy as np

from jaxrkd.attacks import AnyAttack, Attack, Linf
from jaxrkd.attacks.lanes import ladder
from jaxrkd.attacks.objectives import cross_entropy
from jaxrkd.evaluate.probe import Probe
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.runtime.progress import say

# Distance of logits beyond which float32 has no probability between the label's and 1.
SATURATED = 17.0
# Robust images on which a classifier is asked whether it has a gradient.
ASKED_FOR_SLOPES = 32


def marked(
  found: Verdicts,
  subject: Subject,
  loaded: Loaded,
  attack: AnyAttack | None,
  note: str = '',
) -> Verdicts:
  """Prints what may make accuracies too high, where it happened; returns the verdicts.

  Args:
    found: of the attack.
    subject: the classifier.
    loaded: the images.
    attack: itself; None where the images were made on another network.
    note: what the classifier says of itself, which the verdicts keep.
  """
  if note:
    found.about['note'] = note
    say(f'attack_images: {note}')
  if attack is not None:
    _tell_flat(found, subject, loaded)
  if isinstance(attack, Attack) and attack.objective is cross_entropy:
    _tell_saturated(found)
  count = len(found.label)
  if np.any(found.not_finite):
    broken = int(found.not_finite.any(axis=1).sum())
    say(
      f'attack_images: gradients, logits or pixels were not finite on {broken} of '
      f'{count} images (see .stages): the robust accuracy may be too high'
    )
  if np.any(found.outside):
    left = int(found.outside.any(axis=1).sum())
    say(
      f'attack_images: the attack left [0, 1] or the ball on {left} of {count} images '
      '(see .stages). Its success there does not count: the robust accuracy may be too '
      'high'
    )
  return found


def _tell_flat(found: Verdicts, subject: Subject, loaded: Loaded) -> None:
  """Says so where a classifier has no gradient on images that it is called robust on."""
  robust = np.flatnonzero(found.robust)[:ASKED_FOR_SLOPES]
  if not len(robust):
    return
  every, size = loaded.images, loaded.batch_size
  part = Images(every.image[robust], every.label[robust], every.index[robust])
  size = next((s for s in ladder(size, loaded.mesh.size) if s >= len(robust)), size)
  probe = Probe(Loaded(part, size, loaded.mesh), jax.random.key(0), Linf(1.0), subject)
  try:
    flat = int(np.sum(probe.slopes()[0]))
  except ValueError as error:
    if not has_no_gradients(error):
      raise
    say(
      'attack_images: the classifier has no gradients, so that only attacks without them '
      'could search: the robust accuracy may be far too high'
    )
    return
  if flat:
    say(
      f'attack_images: the gradient is zero on {flat} of {len(robust)} robust images, where '
      'attacks that follow it stand still: the robust accuracy may be far too high; '
      'evaluate.trust_panel tells more'
    )


def _tell_saturated(found: Verdicts) -> None:
  """Says so where float32 rounds the probability of the label to 1.

  The label's part of the gradient of the cross-entropy is then exactly 0.
  """
  robust = found.robust
  saturated = int(np.sum(found.clean_margin[robust] < -SATURATED))
  if saturated:
    say(
      f'attack_images: the softmax is saturated on {saturated} of {int(robust.sum())} robust '
      'images, where the cross-entropy misleads an attack: the robust accuracy may be far too '
      'high; take a margin loss, such as apgd_t, cw_inf or autoattack'
    )


def has_no_gradients(error: ValueError) -> bool:
  """Whether JAX says that a function which calls out of it cannot be differentiated."""
  return 'callbacks do not support' in str(error)
