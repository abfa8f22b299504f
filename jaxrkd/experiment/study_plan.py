"""A study as runs: every training once, whoever needs it, with the teachers first."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxrkd.errors import InputError, nearest
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.claim import WITHOUT_EFFECT
from jaxrkd.experiment.departures import departures
from jaxrkd.experiment.scale import SCALES, Scale
from jaxrkd.experiment.study import Row, Study
from jaxrkd.experiment.study_choice import chosen_rows
from jaxrkd.experiment.study_config import Load, row_config, teacher_config
from jaxrkd.paths import absolute

# What a training does not depend on.
NOT_TRAINED = (*WITHOUT_EFFECT, 'evaluation', 'keep_epochs', 'log_every')


class Source(NamedTuple):
  """A file that a network comes from.

  Attributes:
    file: its path.
    recipe: which public network it is; empty where `network` says it.
    network: a group like `student`.
  """

  file: str
  recipe: str
  network: Mapping[str, Any]


@dataclasses.dataclass
class Training:
  """One training, or one file, that rows of a study need.

  Attributes:
    mark: what tells it from others.
    title: for what is printed.
    config: resolved; its teachers' `workdir` is filled in once they are there.
    teachers: name in the config -> mark.
    source: the file it comes from instead; None is trained.
    users: keys of the rows that need it.
    keep: epochs whose checkpoints are needed.
  """

  mark: str
  title: str
  config: ConfigDict
  teachers: dict[str, str]
  source: Source | None = None
  users: list[str] = dataclasses.field(default_factory=list)
  keep: set[int] = dataclasses.field(default_factory=set)

  @property
  def folder(self) -> str:
    """Its folder among the runs."""
    network = self.config.student.name if self.config.get('student') else 'network'
    how = 'file' if self.source else self.config.method.name
    return f'{how}-{network}-{self.mark}'


class Wanted(NamedTuple):
  """A row with one seed: what is measured for it.

  Attributes:
    row: of the study.
    seed: of the table.
    mark: of its training.
    version: 'best', 'last', 'ema' or 'epoch 20'.
    evaluation: the group, with surrogates by mark and version (`surrogates`).
    surrogates: column -> (mark, version) of the network its images are made on.
    network: one of several that the run trained; empty is its student.
    teachers: names of those that its config has.
  """

  row: Row
  seed: int
  mark: str
  version: str
  evaluation: dict[str, Any]
  surrogates: dict[str, tuple[str, str]]
  network: str = ''
  teachers: tuple[str, ...] = ()


@dataclasses.dataclass
class Plan:
  """What a study does.

  Attributes:
    study: the study.
    scale: its size.
    trainings: mark -> training, each after its teachers.
    wanted: every row with every seed.
    refused: key of a row -> why it cannot be done.
    overrides: 'key=value' texts that all rows got.
  """

  study: Study
  scale: Scale
  trainings: dict[str, Training]
  wanted: list[Wanted]
  refused: dict[str, str]
  overrides: tuple[str, ...] = ()


def plan(
  study: Study,
  scale: str = 'paper',
  seeds: Sequence[int] | None = None,
  overrides: Sequence[str] = (),
  files: Mapping[str, str] | None = None,
  only: Sequence[str] = (),
) -> Plan:
  """Resolves every row with every seed; nothing is trained.

  Args:
    study: see `study_files.load_study`.
    scale: one of `SCALES`.
    seeds: in place of the protocol's, or of the first of them that the scale takes.
    overrides: 'key=value' texts for every row; those of a teacher only for rows that have
      it.
    files: recipe -> file of a public teacher, which is then not trained here.
    only: texts; rows whose key has none of them are left out. Empty takes all.

  Raises:
    InputError: an unknown scale, no such row, seeds that train the same twice, or no row can
      be done.
  """
  if scale not in SCALES:
    raise InputError(f'scale is {scale!r}; choose one of {", ".join(SCALES)}')
  size = SCALES[scale]
  changed = study.only.get(scale)
  if changed:
    size = dataclasses.replace(size, **changed)
  if only:
    study = chosen_rows(study, *only)
  made = Plan(study, size, {}, [], {}, tuple(overrides))
  if seeds is None:
    seeds = study.protocol.seeds[: size.seeds or None]
  if not seeds or not any(row.config for row in study.rows):
    raise InputError(
      'the study has no seeds, or no row with a config; give at least one of each'
    )
  if len(set(seeds)) < len(seeds):
    raise InputError(
      f'the seeds of the study are {list(seeds)}, and the list has one twice; give each '
      'once'
    )
  public = _public(study, size, files or {}, overrides)
  # Rows share configs: a file is run once for a spec.
  load = functools.cache(configs.load_spec)
  for row in (row for row in study.rows if row.config):
    for seed in seeds:
      try:
        _add_row(made, row, seed, overrides, public, load)
      except InputError as error:
        made.refused[row.key] = str(error)
      except (TypeError, ValueError, KeyError, AttributeError) as error:
        # Changes of a row may put anything anywhere.
        made.refused[row.key] = (
          f'its config cannot be read with its changes {dict(row.changes)}: '
          f'{type(error).__name__}: {error}'
        )
  if not made.wanted:
    raise InputError(next(iter(made.refused.values())))
  _check_overrides(made, overrides)
  used = {
    training.source.recipe for training in made.trainings.values() if training.source
  }
  for recipe in files or {}:
    if recipe not in used:
      raise InputError(
        f'--files names {recipe!r}, but no row takes it: no chosen row has this teacher, '
        'or an override makes the study train the teacher; leave it out of --files'
      )
  _check_seeds(made)
  _check_teachers(made)
  return made


def _check_overrides(made: Plan, overrides: Sequence[str]) -> None:
  """Raises `InputError` for seeds, and for keys of a teacher that no row has."""
  there = {name for one in made.wanted for name in one.teachers}
  for text in overrides:
    if text.startswith(('seed=', 'seeds=')):
      raise InputError(f'--config.{text}: seeds of a study are given by --seeds=0,1,2')
    group, *names = configs.split_override(text)[0].split('.')
    if group == 'teachers' and names and names[0] not in there:
      raise InputError(
        f'--config.{text}: no row has a teacher {names[0]!r}{nearest(names[0], there)} '
        f'(there: {", ".join(sorted(there)) or "none"})'
      )


def _check_seeds(made: Plan) -> None:
  """Raises `InputError` where several seeds of a row would be one training.

  A network from a file is one, whatever the seed: its row keeps the first alone.
  """
  seen: dict[tuple[str, str], int] = {}
  kept = []
  for one in made.wanted:
    first = seen.setdefault((one.row.key, one.mark), one.seed)
    if first == one.seed:
      kept.append(one)
    elif not made.trainings[one.mark].source:
      raise InputError(
        f'row {one.row.key!r} trains the same with the seeds {first} and {one.seed}; give '
        '--seeds alone, without --config.seed'
      )
  made.wanted[:] = kept


def _check_teachers(made: Plan) -> None:
  """Raises `InputError` where a row is compared with another teacher than its own."""
  marks = {(one.row.key, one.seed): one.mark for one in made.wanted}
  for one in made.wanted:
    named = marks.get((one.row.teacher, one.seed))
    taught_by = made.trainings[one.mark].teachers.values()
    if named and named not in taught_by:
      raise InputError(
        f'row {one.row.key!r} is compared with {one.row.teacher!r}, which did not teach '
        'it: its own teacher has another config. Give the override to the teacher, too: '
        '--config.teachers.NAME.config.KEY=VALUE'
      )


def _public(
  study: Study, scale: Scale, files: Mapping[str, str], overrides: Sequence[str]
) -> dict[str, Source]:
  """The trainings, of any seed, that files stand in for.

  Raises:
    InputError: a file for a network that the study does not have.
  """
  known = set(study.public.values())
  for recipe in files:
    if recipe not in known:
      raise InputError(
        f'--files names {recipe!r}, but the study has no such teacher (there: '
        f'{", ".join(sorted(known)) or "none"})'
      )
  return {
    _mark(teacher_config(study, spec, scale, 0, overrides), {}, seeded=False): Source(
      str(absolute(files[recipe])), recipe, {}
    )
    for spec, recipe in study.public.items()
    if recipe in files
  }


def _mark(config: ConfigDict, teachers: Mapping[str, str], seeded: bool = True) -> str:
  """What tells a training from others; `teachers` are the marks of its teachers."""
  whole = json.loads(config.to_json())
  for name, entry in whole['teachers'].items():
    entry['workdir'] = teachers[name]
  found = departures(whole)
  told = {k: v for k, v in found.items() if k.partition('.')[0] not in NOT_TRAINED}
  # The ball of looking for the best checkpoint, of recordings, of sets of particles.
  told['measured_in'] = whole['evaluation']['threat']
  if not seeded:
    told.pop('seed', None)
  return fingerprint(told)[:8]


def _add_row(
  made: Plan,
  row: Row,
  seed: int,
  overrides: Sequence[str],
  public: Mapping[str, Source],
  load: Load,
) -> None:
  config = row_config(made.study, row, made.scale, seed, overrides, load)
  if made.study.protocol.record and config.members > 1:
    raise InputError(
      f'row {row.key!r} is an ensemble of {config.members} networks, but a study with '
      'recordings needs single networks; set config.members to 1'
    )
  mark = _add(made.trainings, config, f'{row.key}, seed {seed}', row.key, public)
  surrogates = {}
  for name, options in made.study.protocol.attacks.items():
    chosen = options.get('surrogate', '')
    if not chosen:
      continue
    if chosen not in row.surrogates:
      raise InputError(
        f'row {row.key!r} has no network {chosen!r} on which the images of {name!r} are '
        f'made (there: {", ".join(row.surrogates) or "none"})'
      )
    spec, version = row.surrogates[chosen]
    own = teacher_config(made.study, spec, made.scale, seed, overrides, chosen, load)
    title = f'{chosen}, seed {seed}'
    surrogates[name] = (_add(made.trainings, own, title, row.key, public), version)
  version = row.checkpoint or made.study.protocol.checkpoint
  if row.epoch:
    version = f'epoch {row.epoch}'
  evaluation = config.evaluation.to_dict()
  made.wanted.append(
    Wanted(
      row,
      seed,
      mark,
      version,
      evaluation,
      surrogates,
      row.network,
      tuple(config.teachers),
    )
  )


def _add(
  trainings: dict[str, Training],
  config: ConfigDict,
  title: str,
  user: str,
  public: Mapping[str, Source],
) -> str:
  """Adds a training after its teachers, or finds it; returns its mark."""
  config = ConfigDict(config.to_dict())
  teachers, marks = {}, {}
  for name, entry in config.teachers.items():
    if entry.workdir:
      marks[name] = entry.workdir
      continue
    if entry.file:
      network = entry.config.student.to_dict() if entry.config else {}
      source = Source(entry.file, entry.recipe, {} if entry.recipe else network)
      child = _add_file(trainings, source, config, f'teacher {name}', user)
    else:
      own = f'teacher {_described(entry.config)}'
      child = _add(trainings, entry.config, own, user, public)
    if entry.epoch:
      trainings[child].keep.add(entry.epoch)
    entry.file = entry.recipe = ''
    entry.config = ConfigDict()
    teachers[name] = marks[name] = child
  if not config.teachers:
    stands_in = public.get(_mark(config, {}, seeded=False))
    if stands_in:
      return _add_file(trainings, stands_in, config, title, user)
  mark = _mark(config, marks)
  found = trainings.setdefault(mark, Training(mark, title, config, teachers))
  found.keep |= set(config.keep_epochs)
  if user not in found.users:
    found.users.append(user)
  return mark


def _add_file(
  trainings: dict[str, Training],
  source: Source,
  config: ConfigDict,
  title: str,
  user: str,
) -> str:
  mark = fingerprint([*source, config.data.to_dict()])[:8]
  own = ConfigDict({'data': config.data.to_dict()})
  found = trainings.setdefault(mark, Training(mark, title, own, {}, source))
  if user not in found.users:
    found.users.append(user)
  return mark


def _described(config: ConfigDict) -> str:
  return f'{config.student.name} by {config.method.name}, seed {config.seed}'
