"""Which of several teachers to take: robust ones, by how unsure they are where students fail.

Lee and Chung, Toward Understanding Adversarial Distillation: Why Robust Teachers Fail, ICML
2026, 2605.21999: some training images are beyond what students of one kind withstand,
whatever trains them. A teacher that is sure about these makes a student learn noise by
heart; the entropy of its predictions there tells how robust its students become.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrkd.evaluate.intervals import OfImages, difference

# Fewer images beyond students tell nothing about a teacher.
LEAST_HARD = 20


@dataclasses.dataclass(frozen=True)
class Measured:
  """What was found of one teacher.

  Attributes:
    clean: [N] whether each test image is right.
    robust: [M] whether each of the first M test images withstands the attack.
    entropy: [N] of the predictions on the test images, in nats.
    calibration: expected calibration error on the test images.
    lean: 'over' or 'under' confident.
    hard: [H] entropy on the training images that no student withstands.
    easy: [E] entropy on the other training images.
    fooled: of the images that fool a student and not the teacher as they are, how many fool
      it as they were changed for the student.
    tried: how many these are.
    faults: checks of the doctor that it failed; a teacher with one is not taken.
    note: what the network says of itself.
  """

  clean: np.ndarray
  robust: np.ndarray
  entropy: np.ndarray
  calibration: float
  lean: str
  hard: np.ndarray
  easy: np.ndarray
  fooled: int
  tried: int
  faults: tuple[str, ...] = ()
  note: str = ''


class Choice(NamedTuple):
  """What to take.

  Attributes:
    order: names of all teachers, the best first.
    take: the one to take; empty where none is worth it.
    why: in one or two sentences.
    excluded: name -> why it is not to be taken.
  """

  order: tuple[str, ...]
  take: str
  why: str
  excluded: dict[str, str]


def beyond_students(robust: Sequence[np.ndarray]) -> np.ndarray:
  """[K] which images no student withstands, from each student's verdicts [K]."""
  return ~np.any(np.stack(robust), axis=0)


def choose(
  teachers: Mapping[str, Measured], students: Mapping[str, np.ndarray]
) -> Choice:
  """Ranks teachers.

  A teacher must be at least as robust as the most robust student, which had none. Among
  those, the one with the highest mean entropy on the images beyond all students is taken;
  of several that these images cannot tell apart, the most robust.

  Args:
    teachers: name -> what was found.
    students: name -> [M] verdicts on the test images that teachers are measured on.
  """
  robust = {name: float(np.mean(found.robust)) for name, found in teachers.items()}
  best, most = max(
    ((name, float(np.mean(v))) for name, v in students.items()), key=lambda pair: pair[1]
  )
  excluded = {}
  for name, found in teachers.items():
    if found.faults:
      excluded[name] = f'does not pass the doctor: {", ".join(found.faults)}'
    elif robust[name] < most:
      excluded[name] = (
        f'{_percent(robust[name])} under attack, less than the student {best} reaches '
        f'without a teacher ({_percent(most)})'
      )
  left = [name for name in teachers if name not in excluded]
  out = sorted(excluded, key=lambda name: -robust[name])
  if not left:
    why = 'no teacher passes; below is why'
    return Choice(tuple(out), '', why, excluded)
  count = len(next(iter(teachers.values())).hard)
  if count < LEAST_HARD:
    order = sorted(left, key=lambda name: -robust[name])
    why = (
      f'{order[0]} is the most robust ({_percent(robust[order[0]])} under attack). There '
      f'are only {count} training images that no student withstands, too few to rank by '
      f'({LEAST_HARD} are needed); show more of them'
    )
    return Choice((*order, *out), order[0], why, excluded)
  unsure = {name: float(np.mean(teachers[name].hard)) for name in left}
  order = sorted(left, key=lambda name: -unsure[name])
  first = order[0]
  alike = [name for name in order[1:] if _alike(teachers[first], teachers[name])]
  chosen = max([first, *alike], key=lambda name: robust[name])
  order.remove(chosen)
  what = f'on the {count} training images that no student withstands'
  if alike:
    named = ', '.join(name for name in (first, *alike) if name != chosen)
    why = (
      f'{chosen} ({unsure[chosen]:.2f} nats) and {named} are equally unsure {what}, as far '
      f'as these tell; {chosen} is the most robust of them '
      f'({_percent(robust[chosen])} under attack)'
    )
  elif order:
    why = (
      f'{chosen} is the least sure {what} ({unsure[chosen]:.2f} nats; {order[0]} has '
      f'{unsure[order[0]]:.2f}), and a teacher that is sure there makes a student learn '
      'noise'
    )
  else:
    why = f'{chosen} is the only one that passes'
  return Choice((chosen, *order, *out), chosen, why, excluded)


def _alike(one: Measured, other: Measured) -> bool:
  """Whether the images cannot tell the entropies of two teachers apart (95 %)."""
  place = np.arange(len(one.hard))
  sides = [
    ({0: float(np.mean(found.hard))}, {0: OfImages(found.hard, place)})
    for found in (one, other)
  ]
  gap = difference(*sides[0], *sides[1])
  assert gap is not None
  return gap.low <= 0 <= gap.high


def _percent(share: float) -> str:
  return f'{100 * share:.1f} %'
