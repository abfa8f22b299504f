"""Whether a teacher is the one it should be: known signs of a wrong file or a wrong use.

Each check is one number beside what is expected of it. Constants that belong to another
network, classes in another order, a teacher that is not robust at the radius that is
asked about: all of these train without an error and show after hundreds of epochs.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from jaxrkd.evaluate.confidence import coin_toss, wilson

STATUSES = ('pass', 'warn', 'fail', 'skip')
# Points in percent: below, accuracies agree; above, the network is another.
CLOSE, FAR = 1.0, 5.0
# A change of the input must gain so many points before it is believed.
GAIN = 1.0
# Points between constants that a few hundred images cannot tell apart.
TIED = 2.0
BINS = 15


@dataclasses.dataclass(frozen=True)
class Finding:
  """One check.

  Attributes:
    name: of the check.
    status: 'pass', 'warn', 'fail', or 'skip' where it could not be made.
    value: what was found, in words.
    expected: what was expected, in words.
    advice: what it means and what to do; empty where it passed.
    number: what was found; None where nothing was measured.
  """

  name: str
  status: str
  value: str
  expected: str
  advice: str = ''
  number: float | None = None


def check_note(note: str) -> Finding:
  """What a network says of itself, so that it stands wherever checks do."""
  return Finding('what the network says', 'warn', 'a note', 'none', note)


def check_shape(classes: int, image_shape: Sequence[int], data: Any) -> Finding:
  """Whether a teacher's classes and images are those of the data.

  Args:
    classes: of the teacher.
    image_shape: of the teacher, (H, W, C).
    data: a `Dataset`.
  """
  shown = lambda count, shape: f'{count} of {"x".join(map(str, shape))}'
  same = classes == data.classes and tuple(image_shape) == tuple(data.image_shape)
  return Finding(
    'classes and images',
    'pass' if same else 'fail',
    shown(classes, image_shape),
    shown(data.classes, data.image_shape),
    ''
    if same
    else f'The teacher knows {shown(classes, image_shape)} and the data have '
    f'{shown(data.classes, data.image_shape)} (classes of images): take a teacher of '
    f'{data.name}, or other data.',
  )


def check_weights(broken: str) -> Finding:
  """Whether all weights are numbers; `broken` names one that is not."""
  return Finding(
    'weights',
    'fail' if broken else 'pass',
    f'{broken} is not finite' if broken else 'finite',
    'finite',
    'Training diverged or the file is damaged: take another.' if broken else '',
  )


def check_normalisation(
  right: np.ndarray, others: Mapping[str, np.ndarray], own: str
) -> Finding:
  """Whether another normalisation or range of the input would suit the network better.

  Args:
    right: which images are right as the network is configured, [N].
    others: the same for other constants, by name.
    own: name of the ones it is configured with.
  """
  count = len(right)
  best = max(others, key=lambda name: others[name].sum())
  more, fewer = int(np.sum(others[best] & ~right)), int(np.sum(right & ~others[best]))
  gain = 100 * (more - fewer) / count
  # Images that change sides are coin tosses if the two are equally good.
  chance = 1.0
  if more > fewer:
    chance = coin_toss(more, fewer)
  believed = chance < 0.01
  status = 'fail' if believed and gain > GAIN else 'warn' if believed else 'pass'
  value = (
    f'{own} {100 * right.mean():.1f} % of {count}; best other is {best}, '
    f'{100 * others[best].mean():.1f} %'
  )
  advice = ''
  if status != 'pass':
    near = [
      name
      for name, other in others.items()
      if name != best and 100 * (others[best].mean() - other.mean()) < TIED
    ]
    tied = f' (or {", ".join(near)}, which is nearly as good)' if near else ''
    advice = (
      f'With {best}{tied}, the accuracy is {gain:.1f} points higher, so the network was '
      'trained with it: give it as student.normalisation, or its numbers as '
      'student.mean and student.std.'
    )
  sought = 'no other is better beyond chance'
  return Finding('input normalisation', status, value, sought, advice, gain)


def check_accuracy(
  name: str,
  right: np.ndarray,
  expected: float | None,
  *,
  floor: float,
  at_least: bool = False,
  advice: str,
) -> Finding:
  """An accuracy against the one that is known, or against the least that makes sense.

  Args:
    name: of the check.
    right: which images are right, [N].
    expected: in percent; None where nothing is known.
    floor: in percent: what a useful teacher reaches.
    at_least: what is expected is a lower bound, such as AutoAttack's accuracy for PGD's.
    advice: for a failure.
  """
  count, found = len(right), 100 * float(np.mean(right))
  low, high = (100 * end for end in wilson(int(np.sum(right)), count))
  value = f'{found:.1f} % of {count} ({low:.1f} to {high:.1f})'
  if expected is None:
    status = 'fail' if high < floor else 'warn' if low < floor else 'pass'
    more = '' if status == 'pass' else advice
    least = f'above {floor:.0f} %' if floor else 'not known'
    return Finding(name, status, value, least, more, found)
  # By how much the whole interval misses what is expected.
  missed = max(expected - high, 0 if at_least else low - expected, 0.0)
  # A few images cannot tell a point.
  status = 'pass' if missed <= CLOSE else 'warn' if missed <= FAR else 'fail'
  bound = f'at least {expected:.2f} %' if at_least else f'{expected:.2f} %'
  more = '' if status == 'pass' else advice
  return Finding(name, status, value, bound, more, found)


def entropies(logits: np.ndarray) -> np.ndarray:
  """[N] of the predictions, in nats, from logits [N, classes]."""
  log_p = special.log_softmax(logits.astype(np.float64), axis=-1)
  # Where a probability is 0 its logarithm may be minus infinity.
  return special.entr(np.exp(log_p)).sum(-1)


def check_entropy(logits: np.ndarray) -> Finding:
  """The mean entropy of the predictions on clean images, in nats."""
  found = float(np.mean(entropies(logits)))
  most = math.log(logits.shape[-1])
  status = 'pass' if 0.01 * most <= found <= 0.9 * most else 'warn'
  advice = ''
  if status == 'warn':
    advice = (
      'Its predictions are hardly softer than labels, so distilling at temperature 1 adds '
      'little: raise the temperature, or stop its training earlier.'
      if found < 0.5 * most
      else 'Its predictions are nearly uniform: it has learnt little, or its logits are '
      'scaled down.'
    )
  expected = f'{0.01 * most:.2f} to {0.9 * most:.2f} (uniform {most:.2f})'
  return Finding('mean entropy', status, f'{found:.3f} nats', expected, advice, found)


def calibration(logits: np.ndarray, label: np.ndarray) -> tuple[float, str]:
  """Expected calibration error, 15 bins of equal width (Guo et al., 2017, 1706.04599).

  Returns:
    (the error, 'over' or 'under': which way the confidence is wrong on average).
  """
  p = special.softmax(logits.astype(np.float64), axis=-1)
  confidence, right = p.max(-1), p.argmax(-1) == label
  bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
  gaps = [
    np.sum(bins == k) * abs(np.mean(right[bins == k]) - np.mean(confidence[bins == k]))
    for k in np.unique(bins)
  ]
  found = float(np.sum(gaps) / len(label))
  return found, 'over' if confidence.mean() > right.mean() else 'under'


def check_calibration(logits: np.ndarray, label: np.ndarray) -> Finding:
  """See `calibration`."""
  found, lean = calibration(logits, label)
  # Networks of adversarial training are underconfident: about 0.2 is usual for TRADES.
  status = 'pass' if found <= 0.35 else 'warn'
  advice = (
    f'The teacher is very {lean}confident. Public teachers are not, with the right '
    'normalisation and at temperature 1: check its input and whether its last layer is '
    'scaled.'
  )
  value = f'{found:.3f} ({lean}confident)'
  return Finding(
    'calibration error',
    status,
    value,
    'at most 0.35',
    advice if status == 'warn' else '',
    found,
  )


def check_gradients(share: float) -> Finding:
  """On what share of images the cross-entropy has no gradient through the teacher."""
  status = 'pass' if share <= 0.01 else 'warn'
  advice = (
    'The predictions of the teacher are saturated on these images, so attacks through '
    'the teacher (MMARD, AdaAD) find no direction there.'
  )
  value = f'{100 * share:.1f} % without'
  return Finding(
    'gradients', status, value, 'at most 1 %', advice if share > 0.01 else '', share
  )


def check_steady(moved: float) -> Finding:
  """How far logits move when asked again, or beside other images; 1 is their size."""
  good = moved <= 1e-3
  advice = 'Its BatchNorm or dropout is not in evaluation mode.'
  return Finding(
    'repeated answers',
    'pass' if good else 'fail',
    f'differ by {moved:.1g}',
    'the same',
    '' if good else advice,
    moved,
  )


def check_transfer(both: int, fooled: int) -> Finding:
  """How often what fools the student fools the teacher too.

  Args:
    both: images on which the student was fooled and the teacher was right before.
    fooled: how many of them the teacher gets wrong.
  """
  if not both:
    return Finding('transfer from the student', 'skip', 'no image fools it', '', '')
  share = fooled / both
  low, high = wilson(fooled, both)
  # What fools a student is hard for its teachers too; for robust ones less than half of it.
  status = 'fail' if low > 0.75 else 'warn' if low > 0.5 else 'pass'
  advice = (
    "The student's adversarial images fool the teacher too, so what it says about them is "
    'wrong: use a teacher that is robust at this radius, or a method that asks it about '
    'clean images.'
  )
  return Finding(
    'transfer from the student',
    status,
    f'{100 * share:.0f} % of {both} ({100 * low:.0f} to {100 * high:.0f})',
    'at most 50 %',
    advice if status != 'pass' else '',
    share,
  )


def verdict(findings: Sequence[Finding]) -> str:
  """The worst status."""
  found = {finding.status for finding in findings}
  return next(status for status in ('fail', 'warn', 'pass', 'skip') if status in found)


def table(findings: Sequence[Finding]) -> str:
  """One line for each check, and one sentence where it did not pass."""
  rows = [('', 'check', 'found', 'expected')]
  rows += [(f.status, f.name, f.value, f.expected) for f in findings]
  widths = [max(len(row[k]) for row in rows) for k in range(4)]
  lines = ['  '.join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows]
  advice = [f'{f.status}: {f.name}. {f.advice}' for f in findings if f.advice]
  return '\n'.join([*lines, *advice])
