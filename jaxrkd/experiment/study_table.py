"""The table of a study: paper, measured, difference, and whether the paper's claims hold here."""

import csv
import dataclasses
import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.evaluate import intervals
from jaxrkd.evaluate.intervals import OfImages
from jaxrkd.evaluate.results import star
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.logged import logged_rows
from jaxrkd.experiment.study import Cell, Claim, Recorded, Row, Shown, Study
from jaxrkd.experiment.study_recordings import Recordings
from jaxrkd.experiment.study_run import Measured, Outcome

# Decimals of a unit, where two are too few.
DIGITS = {'': 4, 'nats': 3, 's': 3}
HOLDS, FAILS, UNKNOWN = 'holds here', 'does not hold', 'cannot be told'


class Printed(NamedTuple):
  """A number of the paper.

  Attributes:
    value: in the table's unit.
    sd: its standard deviation; None where none is printed.
    doubtful: whether the transcription or the paper itself is in doubt.
    note: why.
  """

  value: float
  sd: float | None
  doubtful: bool
  note: str


@dataclasses.dataclass
class Entry:
  """One cell of the table.

  Attributes:
    values: by seed, in the column's unit.
    paper: what the paper prints; None where it prints nothing.
    images: by seed, what `values` are the means of.
    star: '*' where an attack met numbers that are no numbers.
    balls: (norm, radius) in which its row is attacked; empty for cells without attacks.
  """

  values: dict[int, float]
  paper: Printed | None = None
  images: dict[int, OfImages] = dataclasses.field(default_factory=dict)
  star: str = ''
  balls: set[tuple[str, float]] = dataclasses.field(default_factory=set)

  @property
  def mean(self) -> float | None:
    return statistics.fmean(self.values.values()) if self.values else None

  @property
  def sd(self) -> float | None:
    return statistics.stdev(self.values.values()) if len(self.values) > 1 else None

  @property
  def difference(self) -> float | None:
    if self.paper is None or self.mean is None:
      return None
    return self.mean - self.paper.value


Entries = dict[str, dict[str, Entry]]


class Judged(NamedTuple):
  """A claim with what was found.

  Attributes:
    claim: of the paper.
    verdict: `HOLDS`, `FAILS` or `UNKNOWN`.
    found: one sentence per comparison.
  """

  claim: Claim
  verdict: str
  found: list[str]


def read_printed(file: str) -> list[dict[str, str]]:
  """The lines of a file of `configs/studies/printed/`.

  Raises:
    InputError: there is none.
  """
  path = configs.SHIPPED / 'studies' / 'printed' / file
  if not path.is_file():
    raise InputError(
      f'the file {str(path)!r}, with the numbers of a paper, is not there; name a file '
      'of that folder in `printed` of the study'
    )
  with path.open(encoding='utf-8', newline='') as lines:
    return list(csv.DictReader(lines))


def printed(
  lines: Sequence[Mapping[str, str]], row: Row, column: Shown
) -> Printed | None:
  """What the paper prints in a cell.

  Raises:
    InputError: more than one line matches.
  """
  wanted = {**row.printed, **column.printed}
  if not row.printed or not column.printed:
    return None
  fits = [
    line for line in lines if all(line.get(key) == value for key, value in wanted.items())
  ]
  if not fits:
    return None
  if len(fits) > 1:
    raise InputError(
      f'{len(fits)} printed numbers fit row {row.key!r} and column {column.title!r}; add '
      'keys to `printed` of the row or the column until only one fits'
    )
  (line,) = fits
  if not line[column.printed_in]:
    return None
  sd = line.get('std') or None
  return Printed(
    float(line[column.printed_in]),
    float(sd) if sd else None,
    line['doubtful'] == '1',
    line['note'],
  )


def entries(study: Study, outcome: Outcome) -> Entries:
  """Every cell: row's key -> column's title -> entry; adds to `outcome.failed`."""
  lines = read_printed(study.printed) if study.printed else []
  found: Entries = {
    row.key: {
      column.title: Entry({}, printed(lines, row, column)) for column in study.columns
    }
    for row in study.rows
  }
  recordings = Recordings(study, outcome)
  for one in outcome.measured:
    for column in study.columns:
      cell = found[one.wanted.row.key][column.title]
      try:
        _fill(cell, one, column, recordings)
      except InputError as error:
        # What one row lacks takes no other along.
        outcome.failed.setdefault(one.wanted.row.key, str(error))
  for row in study.rows:
    if row.mean_of:
      _average(found, row)
  for column in study.columns:
    if column.ratio_to:
      _divide(found, column)
    if column.relative:
      _subtract(found, column, study)
  return found


def _fill(cell: Entry, one: Measured, column: Shown, recordings: Recordings) -> None:
  """Puts what one seed of a row has of a column into its cell; it may have nothing."""
  seed, sets = one.wanted.seed, bool(one.wanted.row.particles)
  if sets != bool(column.particles) and not isinstance(column.value, Recorded):
    # Rows show accuracies, or sets of images.
    return
  if isinstance(column.value, Recorded):
    images = recordings.images(one.wanted.row.key, seed, column.value)
  elif column.particles:
    images = _described(one, column)
  else:
    value, star = _value(one, column)
    if value is not None:
      cell.values[seed] = value
      cell.star = cell.star or star
      # Rows of stored recordings are not measured in any.
      threat = one.wanted.evaluation.get('threat')
      if threat and column.value != 'clean':
        cell.balls.add((threat['name'], threat['eps']))
    images = _images(one, column) if value is not None else None
    if images is not None:
      cell.images[seed] = images
    return
  if images is not None:
    cell.values[seed] = float(images.value.mean())
    cell.images[seed] = images


def _described(one: Measured, column: Shown) -> OfImages | None:
  """What the particles of each image are like; None in rows without particles."""
  found = one.row.get('particles')
  if not found:
    return None
  factor = 100 if column.unit == '%' else 1
  return OfImages(factor * found[column.particles].astype(np.float64), found['index'])


def _average(found: Entries, row: Row) -> None:
  """Fills a row that is the mean of others, with the seeds that all of them have."""
  for title, cell in found[row.key].items():
    parts = [found[key][title] for key in row.mean_of]
    seeds = set.intersection(*(set(part.values) for part in parts))
    cell.balls = set().union(*(part.balls for part in parts))
    for seed in sorted(seeds):
      cell.values[seed] = statistics.fmean(part.values[seed] for part in parts)
      cell.star = cell.star or next((part.star for part in parts if part.star), '')
      images = [part.images.get(seed) for part in parts]
      there = [one for one in images if one is not None]
      same = all(np.array_equal(one.place, there[0].place) for one in there)
      if len(there) == len(parts) and same:
        mean = np.mean([one.value for one in there], 0)
        cell.images[seed] = OfImages(mean, there[0].place)


def _subtract(found: Entries, column: Shown, study: Study) -> None:
  """Values as differences to each row's baseline."""
  before = {row.key: found[row.key][column.title] for row in study.rows}
  for row in study.rows:
    base, own = before.get(row.baseline, Entry({})), before[row.key]
    found[row.key][column.title] = dataclasses.replace(
      own,
      values={
        seed: own.values[seed] - base.values[seed]
        for seed in sorted(own.values.keys() & base.values.keys())
      },
      images={},
      star=own.star or base.star,
    )


def _divide(found: Entries, column: Shown) -> None:
  """Times as multiples of one row's."""
  base = found[column.ratio_to][column.title].mean
  for cells in found.values():
    cell = cells[column.title]
    cell.values = {k: v / base for k, v in cell.values.items()} if base else {}


def _value(one: Measured, column: Shown) -> tuple[float | None, str]:
  row = one.row
  if column.value == 'clean':
    return 100 * row['clean'], ''
  if column.value == 'worst':
    return 100 * row['worst_case'], ''
  if column.value == 'seconds':
    return seconds_per_epoch(one.run), ''
  found = row['attacks'][column.attack]
  key = 'weighted' if str(column.value).startswith('weighted:') else 'robust'
  return 100 * found[key], star(found)


def _images(one: Measured, column: Shown) -> OfImages | None:
  """What each image counts, in percent; None where it was not kept."""
  name = column.attack or next(iter(one.row['attacks']))
  path = one.folder / f'{name}.npz'
  if column.value in ('seconds', 'worst') or not path.is_file():
    return None
  with np.load(path) as kept:
    clean = 100 * kept['clean_correct'].astype(np.float64)
    robust = 100 * kept['robust'].astype(np.float64)
    place = kept['index']
  if column.value == 'clean':
    return OfImages(clean, place)
  weighted = str(column.value).startswith('weighted:')
  return OfImages((clean + robust) / 2 if weighted else robust, place)


def seconds_per_epoch(workdir: pathlib.Path) -> float | None:
  """Training time of an epoch, compilation and evaluation left out; None if unknown."""
  rows = [row for row in logged_rows(workdir) if 'images_per_second' in row]
  if not rows:
    return None
  last = rows[-1]
  speed = statistics.median(row['images_per_second'] for row in rows)
  config = json.loads((workdir / 'config.json').read_text(encoding='utf-8'))
  return config['batch_size'] * last['step'] / last['epoch'] / speed


def judge(study: Study, found: Entries, judges: bool = True) -> list[Judged]:
  """Whether each claim of the paper holds in these numbers.

  Args:
    study: has the claims.
    found: its table.
    judges: whether the numbers say anything; see `Scale`.
  """
  if not judges:
    return [
      Judged(one, UNKNOWN, ['numbers of this scale say nothing']) for one in study.claims
    ]
  units = {column.title: column.unit for column in study.columns}
  return [_judged(claim, found, units) for claim in study.claims]


def _judged(claim: Claim, found: Entries, units: Mapping[str, str]) -> Judged:
  verdicts, told = [], []
  for one in claim.all_of:
    left = _at(found, one.more)
    right = _at(found, one.less) if isinstance(one.less, Cell) else one.less
    gap = intervals.difference(left.values, left.images, *_other(left, right))
    unit = units.get(one.more.column, '%')
    if not isinstance(one.less, Cell):
      name = f'{one.less:g} {unit}'.strip()
    else:
      name = _named(one.less, one.more)
    digits = DIGITS.get(unit, 2)
    if unit:
      unit = ' points' if unit == '%' else f' {unit}'
    balls = left.balls, right.balls if isinstance(right, Entry) else set()
    apart = all(balls) and balls[0] != balls[1]
    if gap is None or apart:
      verdicts.append(UNKNOWN)
      why = 'attacked in other balls' if apart else 'not measured'
      told.append(f'{one.more.row}, {one.more.column} against {name}: {why}')
      continue
    verdicts.append(
      HOLDS if gap.low > one.by else FAILS if gap.high < one.by else UNKNOWN
    )
    told.append(
      f'{one.more.row}, {one.more.column}: {gap.middle:+.{digits}f}{unit} against {name} '
      f'(95 %: {gap.low:+.{digits}f} to {gap.high:+.{digits}f}, {gap.over})'
    )
  verdict = HOLDS
  if FAILS in verdicts:
    verdict = FAILS
  elif UNKNOWN in verdicts:
    verdict = UNKNOWN
  return Judged(claim, verdict, told)


def _named(cell: Cell, other: Cell) -> str:
  """A cell in as few words as tell it from another."""
  words = [cell.row] if cell.row != other.row else []
  if cell.column != other.column or not words:
    words.append(cell.column)
  return ', '.join(words)


def _at(found: Entries, cell: Cell) -> Entry:
  return found[cell.row][cell.column]


def _other(left: Entry, right: Entry | float) -> tuple[Mapping, Mapping]:
  """What a cell, or a number, is compared with, by seed: values and images."""
  if isinstance(right, Entry):
    return right.values, right.images
  return dict.fromkeys(left.values, right), dict.fromkeys(left.values, right)
