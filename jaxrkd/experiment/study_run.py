"""Does what a study still lacks: trainings, measurements; what fails takes no other along."""

import functools
import json
import pathlib
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.data import Split
from jaxrkd.data.lazy import LazyImages
from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate import results
from jaxrkd.evaluate.fingerprint import fingerprint, images_digest
from jaxrkd.evaluate.task import Images
from jaxrkd.experiment import particle_sets
from jaxrkd.experiment.evaluate_run import evaluate_run
from jaxrkd.experiment.import_network import import_network
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.result_names import ending
from jaxrkd.experiment.run import train
from jaxrkd.experiment.study_plan import Plan, Training, Wanted
from jaxrkd.paths import absolute
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

RUNS, DATA = 'runs', 'data.json'


class Measured(NamedTuple):
  """A row with one seed, measured.

  Attributes:
    wanted: what was asked for.
    row: as in results.json, of one version of one network.
    folder: its per-image verdicts, one .npz per attack.
    run: the run's folder.
    notes: what its results.json says that a reader should know.
  """

  wanted: Wanted
  row: dict[str, Any]
  folder: pathlib.Path
  run: pathlib.Path
  notes: tuple[str, ...] = ()


# Of rows with particles: as `jaxrkd diversity` takes.
IMAGES, PARTICLES = 100, 10


class Outcome(NamedTuple):
  """What became of a study.

  Attributes:
    measured: rows with their seeds.
    failed: key of a row -> why.
  """

  measured: list[Measured]
  failed: dict[str, str]


def do(plan: Plan, root: str | pathlib.Path, data_dir: str = '') -> Outcome:
  """Trains and measures whatever is not done yet.

  Args:
    plan: see `study_plan.plan`.
    root: folder of all studies; runs are in `root/runs`, and shared by them.
    data_dir: where TFDS data lie.

  Raises:
    InputError: the data are not those that the folder's runs were made with.
  """
  root = absolute(root)
  _check_data(plan, root, data_dir)
  failed: dict[str, str] = {}  # mark -> why
  for number, training in enumerate(plan.trainings.values(), 1):
    say(f'\n{number} of {len(plan.trainings)}: {training.title}')
    broken = [mark for mark in training.teachers.values() if mark in failed]
    if broken:
      failed[training.mark] = f'one of its teachers failed: {failed[broken[0]]}'
      continue
    _try(
      failed,
      training.mark,
      training.title,
      functools.partial(_train, plan, training, root, data_dir),
    )
  measured: list[Measured] = []
  reasons = dict(plan.refused)
  for group in _groups(plan.wanted):
    first = group[0]
    marks = [first.mark, *(mark for mark, _ in first.surrogates.values())]
    broken = [mark for mark in marks if mark in failed]
    missing: dict[str, str] = {mark: failed[mark] for mark in broken}
    if not broken:
      found = _try(
        missing,
        first.mark,
        first.row.key,
        functools.partial(
          _describe_particles if first.row.particles else _measure,
          plan,
          group,
          root,
          data_dir,
        ),
      )
      measured += found or []
    for one in group if missing else ():
      reasons[one.row.key] = next(iter(missing.values()))
  return Outcome(measured, reasons)


def _check_data(plan: Plan, root: pathlib.Path, data_dir: str) -> None:
  """Raises `InputError` where data have changed since runs of the folder saw them."""
  path = root / DATA
  known: dict[str, str] = {}
  if sharding.seen_by_all(path.is_file()):
    known = json.loads(path.read_text(encoding='utf-8'))
  before = dict(known)
  for training in plan.trainings.values():
    node = training.config.data.to_dict()
    extra = training.config.get('extra')
    name = fingerprint([node, extra.path if extra else ''])
    try:
      data = experiment.dataset(training.config, data_dir)
    except InputError:
      continue  # The rows that need them will say so.
    found = fingerprint([_digest(data.train), _digest(data.test)])
    if known.setdefault(name, found) != found:
      raise InputError(
        f'the images of {data.name} are not those that the runs in {str(root)!r} were made '
        'with; use another --workdir'
      )
  if known != before and sharding.is_first_process():
    files.write_json(path, known)


@functools.lru_cache(maxsize=16)
def _digest(split: Split) -> str:
  """Of the images in memory; of those on disk, of their labels."""
  if isinstance(split.image, LazyImages):
    return fingerprint([split.label.tolist(), split.index.tolist()])
  return images_digest(Images(split.image, split.label, split.index))


def place(root: pathlib.Path, training: Training) -> pathlib.Path:
  """Where a training lives."""
  return root / RUNS / training.folder


def _try(failed: dict[str, str], mark: str, title: str, work: Callable[[], Any]) -> Any:
  """Does something; a failure is said and noted."""
  try:
    return work()
  except InputError as error:
    failed[mark] = str(error)
  except Exception as error:
    traceback.print_exc()
    failed[mark] = f'{type(error).__name__}: {" ".join(str(error).split())[:300]}'
  say(f'{title}: failed; the study goes on without it: {failed[mark]}')
  return None


def _train(plan: Plan, training: Training, root: pathlib.Path, data_dir: str) -> None:
  folder, source = place(root, training), training.source
  if source:
    known = {'recipe': source.recipe} if source.recipe else {'network': source.network}
    data = training.config.data.to_dict()
    import_network(source.file, folder, data=data, **known)
    return
  config = _with_teachers(plan, training, root)
  if (folder / 'config.json').is_file():
    # Of another study: it was measured otherwise, and may keep more.
    # With the defaults of keys that are newer than the run.
    old = experiment.resolve(read_config(folder), past=True)
    lacking = training.keep - set(old.keep_epochs)
    if lacking:
      raise InputError(
        f'{str(folder)!r} was trained for another study and keeps no checkpoint of epoch '
        f'{min(lacking)}; use another --workdir'
      )
    config.evaluation, config.keep_epochs = old.evaluation, old.keep_epochs
    config.log_every = old.log_every
    _follow_teachers(folder, config)
  else:
    config.keep_epochs = tuple(sorted(training.keep))
  train(config.lock(), folder, data_dir, training.title)


def _with_teachers(plan: Plan, training: Training, root: pathlib.Path) -> ConfigDict:
  """The config of a training, with its teachers from where they were trained."""
  config = ConfigDict(training.config.to_dict())
  for name, mark in training.teachers.items():
    config.teachers[name].workdir = str(place(root, plan.trainings[mark]))
  return config


def _follow_teachers(folder: pathlib.Path, config: ConfigDict) -> None:
  """Writes where a run's teachers are now, if the folder of all studies was moved.

  The name of a training's folder ends in its mark: an equal name is the same teacher.
  """
  path = folder / 'config.json'
  kept = json.loads(path.read_text(encoding='utf-8'))
  moved = False
  for name, entry in config.teachers.items():
    old = kept.get('teachers', {}).get(name, {})
    before, now = (pathlib.PurePath(x) for x in (old.get('workdir', ''), entry.workdir))
    if before != now and before.name == now.name:
      old['workdir'], moved = entry.workdir, True
  if sharding.seen_by_all(moved) and sharding.is_first_process():
    files.write_json(path, kept)


def _groups(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
  """What one call can measure: one run, one way to measure it."""
  found: dict[str, list[Wanted]] = {}
  for one in wanted:
    key = repr((one.mark, one.evaluation, one.surrogates, one.row.particles))
    found.setdefault(key, []).append(one)
  return list(found.values())


def _describe_particles(
  plan: Plan, group: Sequence[Wanted], root: pathlib.Path, data_dir: str
) -> list[Measured]:
  """Rows that show what the adversarial images of a set are like."""
  folder = place(root, plan.trainings[group[0].mark])
  measured = []
  for one in group:
    found = particle_sets.measure(
      folder,
      one.version,
      one.row.particles,
      IMAGES,
      PARTICLES,
      one.evaluation['threat'],
      data_dir,
    )
    measured.append(Measured(one, {'particles': found}, folder, folder))
  return measured


def _measure(
  plan: Plan, group: Sequence[Wanted], root: pathlib.Path, data_dir: str
) -> list[Measured]:
  first = group[0]
  training = plan.trainings[first.mark]
  folder = place(root, training)
  old = read_config(folder)
  config = ConfigDict(old.to_dict())
  config.evaluation = ConfigDict(first.evaluation)
  for column, (mark, version) in first.surrogates.items():
    other = place(root, plan.trainings[mark])
    config.evaluation.attacks[column].surrogate = f'{other}@{version}'
  config = experiment.resolve(config, past=True)
  name = ending(config, experiment.resolve(old, past=True), folder)
  path = folder / f'results{name}.json'
  there: list[str] = []
  if sharding.seen_by_all(path.is_file()):
    found = json.loads(path.read_text(encoding='utf-8'))
    there = list(found.get('student') or ())
  versions = list(dict.fromkeys(one.version for one in group))
  if not set(versions) <= set(there):
    data = experiment.dataset(config, data_dir)
    mesh = sharding.data_mesh()
    both = list(dict.fromkeys([*there, *versions]))
    title = first.row.key
    found = evaluate_run(
      config,
      folder,
      data,
      mesh,
      path,
      f'eval{name}',
      title,
      checks=False,
      versions=both,
      teachers=False,
    )
  notes = tuple(results.notes(found))
  measured = []
  for one in group:
    whole, inner = found['student'], folder / f'eval{name}'
    if one.network:
      several = found.get('students', {})
      whole = several[one_of(one.network, tuple(several), f'network of {one.row.key!r}')]
      inner = inner / one.network
    elif 'chosen' in found:
      inner = inner / found['chosen']
    row, verdicts = whole[one.version], inner / one.version
    measured.append(Measured(one, row, verdicts, folder, notes))
  return measured
