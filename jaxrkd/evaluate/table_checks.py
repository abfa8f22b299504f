"""What the columns of a table of results say about each other, and about stronger attacks."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxrkd.attacks import Threat
from jaxrkd.attacks.threat import holds, told
from jaxrkd.errors import InputError
from jaxrkd.evaluate.evaluator import Evaluation
from jaxrkd.evaluate.task import Images
from jaxrkd.evaluate.verdicts import Verdicts

# What an attack is told by: the first words of its name in the tables of attacks.
ONE_STEP, MANY_STEPS = ('fgsm',), ('pgd',)
SLOPES = ('fgsm', 'pgd', 'cw_inf', 'apgd', 'fab', 'svgd', 'autoattack')
RANDOM = ('square',)
# How far answers of one classifier may lie apart, relative to the largest: on other devices,
# in other batches.
ROUNDING = 1e-3


class Share(NamedTuple):
  """A share of images.

  Attributes:
    value: in [0, 1].
    images: how many it is of, where few may say too much by chance; 0 where every single
      one is a proof.
  """

  value: float
  images: int

  @classmethod
  def of(cls, rows: np.ndarray) -> 'Share':
    return cls(float(np.mean(rows)), len(rows))


class Column(NamedTuple):
  """A column of a table.

  Attributes:
    verdicts: what happened to each image.
    attack: the name of the attack in the tables of attacks; of verdicts without one, that
      of their column or parts.
    threat: the ball it searched; None where it is the one that is asked about.
    transfer: whether its images were made on another network.
    ball: whether it has a ball at all; fog and others have none.
  """

  verdicts: Verdicts
  attack: str
  threat: Threat | None = None
  transfer: bool = False
  ball: bool = True

  @classmethod
  def of(cls, verdicts: Verdicts) -> 'Column':
    """A column out of verdicts alone, whose parts say what they are."""
    if not isinstance(verdicts, Verdicts):
      raise InputError(
        f'verdicts are a {type(verdicts).__name__}; give what attack_images returned, or '
        'a dictionary of such by name'
      )
    transfer = verdicts.about['search_robust'] is None
    return cls(verdicts, '', transfer=transfer)


class Table:
  """The columns that are about the ball that is asked about.

  Args:
    columns: by name.
    threat: the ball.
    images: those of the checks: all are right without an attack.
    seen: more of the same images, and what the classifier says about them; None leaves
      whose verdicts the columns are unasked.

  Raises:
    InputError: the columns are of other images, another ball or another classifier.
  """

  def __init__(
    self,
    columns: Mapping[str, Column],
    threat: Threat,
    images: Images,
    seen: tuple[Images, Evaluation] | None = None,
  ):
    inside = {name: column for name, column in columns.items() if column.ball}
    self._columns = {
      name: column for name, column in inside.items() if column.threat in (None, threat)
    }
    # What is robust in a larger ball is so in this one, too.
    self._larger = {
      name: column
      for name, column in inside.items()
      if column.threat not in (None, threat) and holds(column.threat, threat)
    }
    self._images, self._threat = images, threat
    for name, column in (self._columns | self._larger).items():
      self._check(name, column)
      if seen is not None:
        self._check_classifier(name, column.verdicts, *seen)

  def _check(self, name: str, column: Column) -> None:
    found, asked = column.verdicts, told(column.threat or self._threat)
    if found.about.get('threat') not in (None, asked):
      raise InputError(
        f'the verdicts {name!r} are of the ball {found.about["threat"]}, but the checks ask '
        f'about {asked}; give both the same'
      )
    place = _places(found, self._images)
    known = place >= 0
    if not np.all(known) or np.any(found.label[place] != self._images.label):
      raise InputError(
        f'the verdicts {name!r} are of other images: {int(np.sum(~known))} of the '
        f'{len(known)} images of the checks are not among them, or have another label; '
        'give verdicts of the same images, in the same order'
      )

  def _check_classifier(
    self, name: str, found: Verdicts, images: Images, look: Evaluation
  ) -> None:
    """Whether the verdicts' classifier said the same about clean images."""
    place = _places(found, images)
    rows = np.flatnonzero(place >= 0)
    here, there = np.asarray(look.margin)[rows], found.clean_margin[place[rows]]
    real = np.abs(here[np.isfinite(here)])
    away = ~np.isclose(here, there, rtol=0, atol=ROUNDING * real.max(initial=0))
    # Not a number is equal to nothing; labels of these images may differ, too.
    away &= ~(np.isnan(here) & np.isnan(there))
    away |= found.label[place[rows]] != images.label[rows]
    if np.any(away):
      raise InputError(
        f'the verdicts {name!r} are of another classifier or other labels: on '
        f'{int(np.sum(away))} of {len(rows)} images without an attack it answered '
        'differently; give verdicts of the classifier that is asked about'
      )

  def _own(self, column: Column) -> np.ndarray:
    """Which images of the checks a column calls robust."""
    return column.verdicts.robust[_places(column.verdicts, self._images)]

  def _named(self, first_words: tuple[str, ...], transfer: bool = False) -> list[Column]:
    def name(key: str, column: Column) -> str:
      if column.attack:
        return column.attack
      parts = column.verdicts.about['attacks']
      return (
        key.lower()
        if parts == ['attack']
        else parts[0]
        if len(parts) == 1
        else 'autoattack'
      )

    return [
      column
      for key, column in self._columns.items()
      if name(key, column).startswith(first_words) and column.transfer == transfer
    ]

  def beaten(self, broken: np.ndarray) -> list[Share]:
    """Images that all columns call robust and that an attack of the checks breaks."""
    columns = [*self._columns.values(), *self._larger.values()]
    if not columns:
      return []
    robust = np.all([self._own(column) for column in columns], axis=0)
    # No sample of others: each one proves the table wrong.
    return [Share(float(np.mean(robust & broken)), 0)]

  def impatient(self, patient: np.ndarray) -> list[Share]:
    """Images that withstand the table's PGD, and not one with many more steps."""
    return [Share.of(self._own(c) & ~patient) for c in self._named(MANY_STEPS)]

  def one_step_beats_many(self) -> list[Share]:
    """Images that FGSM breaks and PGD does not, over all images of the table."""
    return [
      _beats(one.verdicts, many.verdicts)
      for one in self._named(ONE_STEP)
      for many in self._named(MANY_STEPS)
    ]

  def square_beats_slopes(self) -> list[Share]:
    """Images that random search breaks and gradients do not."""
    found = []
    for column in self._columns.values():
      parts = column.verdicts.about['attacks']
      if 'square' in parts and len(parts) > 1 and not column.transfer:
        # It is tried on what the parts before it left standing.
        rows = column.verdicts.stage == parts.index('square')
        found.append(Share.of(rows[column.verdicts.clean_correct]))
    strong = [c.verdicts for c in self._named(('apgd',))]
    for column in self._named(RANDOM):
      found += [_beats(column.verdicts, other) for other in strong]
    return [share for share in found if share.images]

  def transfer_beats_own(self) -> list[Share]:
    """Images that others' images break, and no attack on the network itself."""
    own = [column.verdicts for column in self._named(SLOPES)]
    if not own:
      return []
    found = []
    for column in self._columns.values():
      if column.transfer and all(_alike(column.verdicts, other) for other in own):
        first = column.verdicts
        stands = np.all([other.robust for other in own], axis=0)
        rows = (stands & ~first.robust)[first.clean_correct]
        found.append(Share.of(rows) if len(rows) else Share(0.0, 0))
    return found

  def not_finite(self) -> list[Share]:
    """Images on which the columns' attacks met what is no number."""
    # No sample either: where it happened, it happened.
    return [
      Share(float(np.mean(column.verdicts.not_finite.any(axis=1))), 0)
      for column in self._columns.values()
    ]


def _places(found: Verdicts, images: Images) -> np.ndarray:
  """Where images are in a column; -1 where they are not."""
  place = {int(index): row for row, index in enumerate(found.index)}
  return np.array([place.get(int(i), -1) for i in images.index], int)


def _alike(one: Verdicts, other: Verdicts) -> bool:
  return np.array_equal(one.index, other.index)


def _beats(weak: Verdicts, strong: Verdicts) -> Share:
  """The share of images that `weak` breaks and `strong` does not, of those in both."""
  if not _alike(weak, strong) or not np.any(weak.clean_correct):
    return Share(0.0, 0)
  rows = (~weak.robust & strong.robust)[weak.clean_correct]
  return Share.of(rows)
