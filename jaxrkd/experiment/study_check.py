"""Whether a study is sound: mistakes end before anything is trained."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate import dynamics, particle_statistics
from jaxrkd.experiment import particle_sets
from jaxrkd.experiment.scale import SCALES, Scale
from jaxrkd.experiment.study import (
  CHECKPOINTS,
  FIGURES,
  Cell,
  Claim,
  Comparison,
  Figure,
  Protocol,
  Recorded,
  Row,
  Shown,
  Study,
)
from jaxrkd.experiment.study_table import read_printed

# What several things of a study are.
MANY: dict[str, type] = {
  'rows': Row,
  'columns': Shown,
  'claims': Claim,
  'figures': Figure,
}


def check(study: Study) -> None:
  """Raises `InputError` where a study is no sound one; says what, and what is allowed."""
  _check_types(study)
  _check_names('rows', [row.key for row in study.rows])
  _check_names('columns', [column.title for column in study.columns])
  _check_protocol(study.protocol)
  for column in study.columns:
    _check_column(study, column)
  for row in study.rows:
    _check_row(study, row)
  for claim in study.claims:
    _check_claim(study, claim)
  for figure in study.figures:
    _check_figure(study, figure)
  if study.figures:
    _check_names('figures', [figure.stem for figure in study.figures])
  if study.difficulty:
    study.row(study.difficulty)
  if study.printed:
    read_printed(study.printed)
  known = tuple(field.name for field in dataclasses.fields(Scale))
  for name, changed in study.only.items():
    one_of(name, tuple(SCALES), 'a key of only')
    for key in changed:
      one_of(key, known, f'a key of only[{name!r}]')


def _check_types(study: Study) -> None:
  for name, kind in MANY.items():
    found = getattr(study, name)
    whole = isinstance(found, Sequence) and not isinstance(found, str)
    if not whole or not all(isinstance(one, kind) for one in found):
      raise InputError(
        f'{name} of a study is {_short(found)}; give a list of study.{kind.__name__}(...)'
      )
  if not isinstance(study.protocol, Protocol):
    raise InputError(
      f'protocol of a study is {_short(study.protocol)}; give study.Protocol(...)'
    )


def _short(value: Any) -> str:
  text = repr(value)
  return text if len(text) < 60 else f'{text[:60]}...'


def _check_names(kind: str, names: Sequence[str]) -> None:
  twice = {name for name in names if names.count(name) > 1}
  if not names or twice or '' in names:
    what = (
      f'two {kind} named {min(twice)!r}' if twice else f'no {kind}, or one without a name'
    )
    raise InputError(f'the study has {what}; give each a name of its own')


def _check_protocol(protocol: Protocol) -> None:
  groups = isinstance(protocol.attacks, Mapping) and all(
    isinstance(options, Mapping) for options in protocol.attacks.values()
  )
  if not groups:
    raise InputError(
      f'attacks of a protocol is {_short(protocol.attacks)}; give name -> options, such as '
      "dict(pgd_sat={}, cw=dict(name='cw_inf', steps=20))"
    )
  if not isinstance(protocol.select, Mapping):
    raise InputError(
      f'select of a protocol is {_short(protocol.select)}; give key -> value'
    )
  seeds = protocol.seeds
  whole = isinstance(seeds, tuple | list) and all(type(seed) is int for seed in seeds)
  if not whole or not seeds:
    raise InputError(
      f'seeds of a protocol is {_short(seeds)}; give whole numbers: (0, 1, 2)'
    )
  if not isinstance(protocol.record, tuple | list):
    raise InputError(
      f"record of a protocol is {_short(protocol.record)}; give a tuple: ('test',)"
    )
  one_of(protocol.checkpoint, CHECKPOINTS, 'the checkpoint of a protocol')


def _check_column(study: Study, column: Shown) -> None:
  if isinstance(column.value, Recorded):
    _check_recorded(study, column.value)
  if column.particles:
    one_of(column.particles, tuple(particle_statistics.UNITS), 'a column of particles')
  if column.attack and column.attack not in study.protocol.attacks:
    raise InputError(
      f'column {column.title!r} reads {column.value!r}, which the protocol does not '
      f'measure (there: clean, {", ".join(study.protocol.attacks)})'
    )
  if column.ratio_to:
    study.row(column.ratio_to)


def _check_row(study: Study, row: Row) -> None:
  if (row.checkpoint or study.protocol.checkpoint) not in CHECKPOINTS:
    raise InputError(
      f'row {row.key!r} shows the checkpoint {row.checkpoint!r}; choose one of '
      f'{", ".join(CHECKPOINTS)}'
    )
  for key in (row.baseline, row.teacher):
    if key:
      study.row(key)
  if bool(row.config) == bool(row.mean_of):
    what = 'both a config and' if row.config else 'neither a config nor'
    raise InputError(f'row {row.key!r} has {what} `mean_of`; give exactly one of the two')
  for key in row.mean_of:
    if not study.row(key).config:
      raise InputError(f'row {row.key!r} is the mean of {key!r}, which is a mean itself')
  if row.particles:
    one_of(row.particles, tuple(particle_sets.SEARCHES), f'particles of row {row.key!r}')
    if row.epoch or row.network:
      raise InputError(
        f'row {row.key!r} shows sets of adversarial images of the checkpoint alone; '
        'leave out its epoch and its network'
      )


def _check_claim(study: Study, claim: Claim) -> None:
  whole = isinstance(claim.all_of, tuple | list) and all(
    isinstance(one, Comparison) for one in claim.all_of
  )
  if not whole or not claim.all_of:
    raise InputError(
      f'the claim {claim.text!r} compares {_short(claim.all_of)}; give a tuple of '
      'study.Comparison(...)'
    )
  titles = [column.title for column in study.columns]
  for cell in _cells(claim):
    study.row(cell.row)
    if cell.column not in titles:
      raise InputError(
        f'the claim {claim.text!r} names the column {cell.column!r} (there: '
        f'{", ".join(titles)})'
      )


def _cells(claim: Claim) -> Iterator[Cell]:
  for one in claim.all_of:
    for cell in (one.more, one.less):
      if isinstance(cell, Cell):
        yield cell


def _check_figure(study: Study, figure: Figure) -> None:
  one_of(figure.kind, FIGURES, f'the kind of {figure.name}')
  for key in figure.rows:
    study.row(key)
  for recorded in figure.recorded:
    _check_recorded(study, recorded)
  titles = [column.title for column in study.columns]
  if figure.kind in ('sweep', 'bars'):
    _check_shown(figure, titles)
  elif figure.kind == 'curves':
    for recorded in figure.recorded:
      one_of(recorded.what, ('entropy', 'probability'), f'a curve of {figure.name}')
  elif not figure.recorded or (figure.kind == 'gallery' and len(figure.recorded) > 1):
    raise InputError(
      f'{figure.name} has {len(figure.recorded)} recorded quantities; give one to a '
      'gallery, and one or more to a figure of images'
    )
  if figure.kind in ('images', 'gallery') and not study.difficulty:
    raise InputError(
      f'{figure.name} orders images by difficulty, but the study does not say which row '
      'measures it; set `difficulty` of the study to the key of a row'
    )


def _check_shown(figure: Figure, titles: Collection[str]) -> None:
  for title in figure.columns:
    if title not in titles:
      raise InputError(
        f'{figure.name} draws the column {title!r} (there: {", ".join(titles)})'
      )
  if not figure.columns:
    raise InputError(f'{figure.name} draws no column (there: {", ".join(titles)})')


def _check_recorded(study: Study, chosen: Recorded) -> None:
  one_of(chosen.what, dynamics.QUANTITIES, 'a recorded quantity')
  one_of(chosen.images, dynamics.IMAGES, 'images')
  one_of(chosen.part, dynamics.PARTS, 'part')
  if chosen.split not in study.protocol.record:
    raise InputError(
      f'the study reads recordings of {chosen.split!r}, which its protocol does not make '
      f'(there: {", ".join(study.protocol.record) or "none"})'
    )
  if chosen.part != 'all' and not study.difficulty:
    raise InputError(
      f'the study reads the {chosen.part} images, but does not say which row measures '
      'their difficulty; set `difficulty` of the study to the key of a row'
    )
