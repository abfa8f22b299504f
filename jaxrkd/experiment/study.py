"""A study: a table or figure of a paper as data, with what its rows train and how it is read.

Files in `configs/studies/` define `STUDY`. Nothing here trains; `study_plan` makes the runs
of a study, `study_run` does them, `study_table` reads the results.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxrkd.errors import InputError
from jaxrkd.evaluate import dynamics, particle_statistics

# Which checkpoint of a run a row shows.
CHECKPOINTS = ('best', 'last', 'ema', 'swa')
FIGURES = ('sweep', 'bars', 'curves', 'images', 'gallery')


@dataclasses.dataclass(frozen=True)
class Recorded:
  """A quantity of the recordings of trainings; see `evaluate.dynamics`.

  Attributes:
    what: one of `dynamics.QUANTITIES`.
    images: one of `dynamics.IMAGES`.
    part: one of `dynamics.PARTS`: which images are averaged over.
    split: one of those that the protocol records.
  """

  what: str
  images: str = 'clean'
  part: str = 'all'
  split: str = 'test'


@dataclasses.dataclass(frozen=True)
class Row:
  """One line of a table, or one point of a figure: an experiment.

  Attributes:
    name: what the table calls it; no other row of its block has it.
    config: 'name:words' of one of jaxrkd's configs, or 'file.py:words'.
    changes: dotted key -> value, after the protocol's; a None for `teachers.NAME` leaves
      that teacher out.
    if_there: the same for keys of teachers, passed over where the row has no such teacher;
      `changes` come after them.
    block: the part of the table it stands in, such as 'CIFAR-10, ResNet-18'.
    printed: column -> value of the lines that are this row's in the paper's numbers.
    checkpoint: one of `CHECKPOINTS` in place of the protocol's.
    epoch: of a run that kept it: shows the network of this epoch instead.
    network: one of several that the run trains, such as 'student_2'; empty is its student.
    surrogates: name -> (config, checkpoint) of the networks that columns of the protocol
      make their images on.
    at: where a figure has it, on the axis of its sweep.
    line: which line of a figure it belongs to.
    baseline: key of the row that `Shown.relative` columns are taken to.
    mean_of: keys of rows: nothing is trained for this one, it shows their mean.
    teacher: key of the row whose training recordings are compared with.
    particles: one of `particle_sets.SEARCHES`: the row shows sets of adversarial images of
      its network, not accuracies.
  """

  name: str
  config: str = ''
  changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  if_there: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  block: str = ''
  printed: Mapping[str, str] = dataclasses.field(default_factory=dict)
  checkpoint: str = ''
  epoch: int = 0
  network: str = ''
  surrogates: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
  at: float | None = None
  line: str = ''
  baseline: str = ''
  mean_of: tuple[str, ...] = ()
  teacher: str = ''
  particles: str = ''

  @property
  def key(self) -> str:
    """What tells it from all other rows of its study."""
    return f'{self.block}: {self.name}' if self.block else self.name


@dataclasses.dataclass(frozen=True)
class Shown:
  """A column of the table.

  Attributes:
    title: its head.
    value: 'clean'; a column of the measurement, such as 'pgd_sat'; 'weighted:pgd_sat', the
      mean of clean and robust accuracy (MTARD, eq. 12); 'worst', where every attack failed;
      'seconds', of an epoch of training; 'particles:l1', what the sets of rows with
      `particles` are like (`particle_statistics.UNITS`); or something `Recorded`.
    printed: column -> value of the lines that are this column's in the paper's numbers.
    ratio_to: of 'seconds': key of the row whose time is one.
    relative: shows the difference to each row's `baseline`; rows without one are empty.
    printed_in: the column of the paper's numbers that is read.
  """

  title: str
  value: str | Recorded
  printed: Mapping[str, str] = dataclasses.field(default_factory=dict)
  ratio_to: str = ''
  relative: bool = False
  printed_in: str = 'value'

  @property
  def unit(self) -> str:
    """Of its numbers; '%' of accuracies and probabilities."""
    if isinstance(self.value, Recorded):
      return dynamics.UNITS[self.value.what]
    if self.particles:
      return particle_statistics.UNITS[self.particles]
    if self.value != 'seconds':
      return '%'
    return 'times' if self.ratio_to else 's'

  @property
  def particles(self) -> str:
    """The quantity of sets that it reads; empty where it reads none."""
    prefix, _, quantity = str(self.value).partition(':')
    return quantity if prefix == 'particles' else ''

  @property
  def attack(self) -> str:
    """The column of the measurement it reads; empty where it needs none."""
    if isinstance(self.value, Recorded) or self.particles:
      return ''
    name = self.value.removeprefix('weighted:')
    return '' if name in ('clean', 'worst', 'seconds') else name


@dataclasses.dataclass(frozen=True)
class Protocol:
  """How a paper measures and chooses.

  Attributes:
    paper: its name.
    attacks: the group `evaluation.attacks`.
    select: what of the group `select` is the same for all rows.
    checkpoint: one of `CHECKPOINTS`: what the table shows.
    seeds: of the runs.
    record: splits of which every training records each image; see
      `evaluate.trajectories`.
    states: what of this the paper says, and what is decided here, one sentence each.
  """

  paper: str
  attacks: Mapping[str, Mapping[str, Any]]
  select: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  checkpoint: str = 'best'
  seeds: tuple[int, ...] = (0,)
  record: tuple[str, ...] = ()
  states: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Cell:
  """One number of a study: a row's key and a column's title."""

  row: str
  column: str


@dataclasses.dataclass(frozen=True)
class Comparison:
  """`more` is larger than `less`, by `by` points or more.

  Attributes:
    more: a cell.
    less: a cell, or a number in percent.
    by: points.
  """

  more: Cell
  less: Cell | float
  by: float = 0.0


@dataclasses.dataclass(frozen=True)
class Claim:
  """What the paper says, as comparisons that must all hold."""

  text: str
  all_of: tuple[Comparison, ...]


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture of a study.

  Attributes:
    name: of its files, and in the paper: 'Figure 2'.
    kind: one of `FIGURES`.
    columns: titles of the columns drawn (sweeps, bars), or scalars of training (curves).
    axis: what `Row.at` is, or 'epoch'.
    rows: keys of the rows drawn; empty draws all.
    last: of curves: only the last share of the epochs, such as 0.2; 0 draws all.
    label: of a gallery: the class whose easiest and hardest images it shows.
    caption: what it shows.
    recorded: what is drawn of recordings: by epoch (curves), or of each image, from the
      easiest to the hardest (images).
  """

  name: str
  kind: str
  columns: tuple[str, ...] = ()
  axis: str = ''
  rows: tuple[str, ...] = ()
  last: float = 0.0
  label: int = 0
  caption: str = ''
  recorded: tuple[Recorded, ...] = ()

  @property
  def stem(self) -> str:
    """Of its files."""
    return re.sub(r'[^\w.+]+', '_', self.name.lower()).strip('_')


@dataclasses.dataclass(frozen=True)
class Study:
  """A table or figure of a paper.

  Attributes:
    paper: 'MTARD', 'MMARD', 'AKD' or 'AT-AKA'; any other name of one's own, or none.
    item: 'Table 2'.
    asks: the question it answers, one sentence.
    protocol: how it is measured.
    rows: see `Row`.
    columns: see `Shown`.
    printed: file in `configs/studies/printed/` with the paper's numbers; empty has none.
    claims: what the paper says of it.
    figures: what is drawn.
    public: config of a teacher -> recipe of the file that the paper took it from.
    deviations: where it differs from the paper at any scale, one sentence each.
    only: of each `Scale` by name, keys that replace the scale's own.
    difficulty: key of the row whose clean recordings say how hard an image is.
  """

  paper: str
  item: str
  asks: str
  protocol: Protocol
  rows: Sequence[Row]
  columns: Sequence[Shown]
  printed: str = ''
  claims: Sequence[Claim] = ()
  figures: Sequence[Figure] = ()
  public: Mapping[str, str] = dataclasses.field(default_factory=dict)
  deviations: Sequence[str] = ()
  only: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
  difficulty: str = ''

  @property
  def title(self) -> str:
    """'MTARD, Table 2'."""
    return ', '.join(filter(None, (self.paper, self.item)))

  def row(self, key: str) -> Row:
    """The row of a key.

    Raises:
      InputError: there is none.
    """
    for row in self.rows:
      if row.key == key:
        return row
    known = ', '.join(map(repr, (row.key for row in self.rows)))
    raise InputError(f'the study has no row {key!r} (there: {known})')


def sweep(
  name: str, row: Row, key: str, values: Sequence[Any], **shared: Any
) -> list[Row]:
  """Rows that differ in one key.

  Args:
    name: of each, with {} for the value: 'alpha {}'.
    row: what they have in common; its `name` becomes their line.
    key: dotted.
    values: of the key; numbers become the places on a figure's axis.
    shared: further fields of every row.
  """
  return [
    dataclasses.replace(
      row,
      name=f'{row.name}, {name.format(value)}' if row.name else name.format(value),
      changes={**row.changes, key: value},
      at=float(value),
      line=row.line or row.name,
      **shared,
    )
    for value in values
  ]


class Block(NamedTuple):
  """A part of a table: a data set and a student.

  Attributes:
    words: that its rows' configs get.
    printed: what its lines have in the paper's numbers.
    changes: of its rows; those of a teacher reach only rows that have it.
  """

  words: str
  printed: Mapping[str, str] = {}
  changes: Mapping[str, Any] = {}


def over(blocks: Mapping[str, Block], rows: Sequence[Row]) -> list[Row]:
  """The same rows, whose configs take the blocks' words, in several blocks."""
  return [
    dataclasses.replace(
      row,
      block=name,
      config=with_words(row.config, block.words),
      if_there={**block.changes, **row.if_there},
      printed={**block.printed, **row.printed},
    )
    for name, block in blocks.items()
    for row in rows
  ]


def with_words(config: str, words: str) -> str:
  """'rslad:en' and 'cifar10' -> 'rslad:cifar10,en'."""
  path, _, own = config.partition(':')
  return f'{path}:{",".join(filter(None, (words, own)))}'
