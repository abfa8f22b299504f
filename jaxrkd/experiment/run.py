"""One experiment from its config to its results: teachers, student, measurement."""

import contextlib
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd.data import Dataset
from jaxrkd.experiment import make, seeds, stage_plan, summary, weight_average
from jaxrkd.experiment.check import schedule_note
from jaxrkd.experiment.claim import claim
from jaxrkd.experiment.data_notes import tell
from jaxrkd.experiment.evaluate_run import evaluate_run, threat_note
from jaxrkd.experiment.load import (
  TRAINED,
  Trained,
  load_teacher,
  member_folder,
  teacher_folder,
)
from jaxrkd.experiment.prepare import check_batch_fits, check_micro_batch, prepare
from jaxrkd.experiment.scores import make_scorer
from jaxrkd.experiment.teacher_runs import (
  check_classes,
  check_finished,
  check_sources,
  check_teacher,
  import_teacher,
)
from jaxrkd.experiment.tracked_results import tell_trackers
from jaxrkd.experiment.watch import make_watcher
from jaxrkd.models.named import named_network
from jaxrkd.paths import absolute
from jaxrkd.runtime import files, sharding, stages, workdir_lock
from jaxrkd.runtime.progress import say
from jaxrkd.runtime.shared_folder import check_shared
from jaxrkd.runtime.trackers import check_trackers
from jaxrkd.train.loop import Run, fit


def train_and_evaluate(
  config: ConfigDict,
  workdir: str | pathlib.Path,
  data_dir: str = '',
  title: str = 'student',
  alone: bool = True,
) -> dict[str, Any]:
  """Does whatever of an experiment is not done yet; returns its results.

  Args:
    config: resolved (`resolve`).
    workdir: folder of the run; see the README for what it holds.
    data_dir: where TFDS data lie.
    title: what the network is called in what is printed.
    alone: False for a part of something larger: whether its numbers can be trusted is not
      checked, and where it was finished before its table is not printed again.

  Raises:
    InputError: the config, the data or the workdir cannot be used, or another process is
      at work there.
  """
  workdir = absolute(workdir)
  done = workdir / 'results.json'
  found = _finished(done)
  if sharding.seen_by_all(found is not None) and found is not None:
    claim(workdir, config)
    say(f'{title}: finished before; {done} holds the results, and there is nothing to do')
    _page_if_missing(workdir, done)
    if alone:
      if config.seeds:
        say(seeds.table(found))
      else:
        say(summary.table(config.evaluation, found, title))
    return found
  data, mesh = _ready(config, workdir, data_dir)
  plan = functools.partial(stage_plan.stages, config, data, title)
  with workdir_lock.hold(workdir), stages.planned(plan):
    claim(workdir, config)
    return _train_and_evaluate(config, workdir, data, data_dir, mesh, title, alone)


def train(
  config: ConfigDict,
  workdir: str | pathlib.Path,
  data_dir: str = '',
  title: str = 'student',
) -> None:
  """Trains whatever of an experiment is not trained yet, and measures nothing.

  Arguments and errors as `train_and_evaluate`; `config.seeds` must name none.
  """
  workdir = absolute(workdir)
  done = workdir / TRAINED
  if sharding.seen_by_all(done.is_file()):
    claim(workdir, config)
    say(f'{title}: trained before, in {workdir}')
    return
  data, mesh = _ready(config, workdir, data_dir)
  with workdir_lock.hold(workdir):
    claim(workdir, config)
    _introduce(config, data, title)
    teachers = train_teachers(config, workdir, data, data_dir, mesh)
    if config.members > 1:
      train_members(config, workdir, data_dir, title, measured=False)
    else:
      train_students([(config, workdir)], data, mesh, teachers, title)
    if sharding.is_first_process():
      files.write_json(done, {'finished': True})


def _ready(
  config: ConfigDict, workdir: pathlib.Path, data_dir: str
) -> tuple[Dataset, jax.sharding.Mesh]:
  """Refuses whatever can be refused before the workdir is taken and teachers train."""
  # Not of runs that are read: a measurement needs no tracker.
  check_trackers(config.trackers)
  mesh = sharding.data_mesh(fsdp=config.mesh.fsdp)
  sharding.check_batch_size(config.batch_size, mesh, 'batch_size')
  sharding.check_batch_size(config.evaluation.batch_size, mesh, 'evaluation.batch_size')
  check_micro_batch(config, mesh)
  known = check_sources(config, workdir)
  data = sharding.first_then_others(lambda: make.dataset(config, data_dir))
  for name, classes in known.items():
    check_classes(name, classes, data.image_shape, data)
  named_network(config.student, data.classes, data.image_shape, config.precision)
  check_batch_fits(config, data)
  check_shared(workdir)
  return data, mesh


def _introduce(config: ConfigDict, data: Dataset, title: str) -> None:
  """Says what is going to be trained on."""
  more = f', {len(data.extra)} extra images' if data.extra else ''
  say(
    f'{title}: {data.name}, {len(data.train)} training, {len(data.heldout)} held-out and '
    f'{len(data.test)} test images of {data.classes} classes{more}'
  )
  tell(data)
  for note in (threat_note(config), schedule_note(config)):
    if note:
      say(f'{title}: note: {note}')


def _page_if_missing(workdir: pathlib.Path, done: pathlib.Path) -> None:
  """Writes the page of a finished run whose writing failed."""
  from jaxrkd.experiment import run_report

  several = (workdir / 'seeds').is_dir()
  if (
    sharding.is_first_process()
    and not several
    and not done.with_name('report.html').is_file()
  ):
    say(f'report: {run_report.write(workdir, done)}')


def _train_and_evaluate(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: Dataset,
  data_dir: str,
  mesh: jax.sharding.Mesh,
  title: str,
  alone: bool,
) -> dict[str, Any]:
  """In a workdir that is this experiment's own; arguments as above."""
  done = workdir / 'results.json'
  _introduce(config, data, title)
  teachers = train_teachers(config, workdir, data, data_dir, mesh)
  if config.seeds:
    chosen = seeds.configs_of(config, workdir)
    with contextlib.ExitStack() as opened:
      for _, folder in chosen:
        opened.enter_context(workdir_lock.hold(folder))
      train_students(chosen, data, mesh, teachers, title)
    return seeds.finish(chosen, data_dir, done, title, alone, train_and_evaluate)
  if config.members > 1:
    train_members(config, workdir, data_dir, title)
  else:
    train_students([(config, workdir)], data, mesh, teachers, title)
  found = evaluate_run(config, workdir, data, mesh, done, title=title, checks=alone)
  tell_trackers(config, workdir, found)
  return found


def _finished(path: pathlib.Path) -> dict[str, Any] | None:
  """The results of a run that has nothing left to do."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError):
    return None
  # Without the key in runs of older versions, which wrote results last.
  return found if found.get('finished', True) else None


def train_students(
  runs: Sequence[tuple[ConfigDict, pathlib.Path]],
  data: Dataset,
  mesh: jax.sharding.Mesh,
  teachers: dict[str, Trained],
  title: str,
) -> None:
  """Trains to the end of the config's epochs: one run, or those of several seeds at once.

  Args:
    runs: configs, which differ in nothing but seeds, and workdirs.
    data: all splits.
    mesh: the devices.
    teachers: by name.
    title: for what is printed.
  """
  stages.begin(f'training {title}')
  nets = {name: teacher.net for name, teacher in teachers.items()}
  ready = []
  for config, workdir in runs:
    setup = prepare(config, data, nets, mesh)
    own = f'{title}, seed {config.seed}' if len(runs) > 1 else title
    watch = make_watcher(config, setup, workdir)
    told = json.loads(config.to_json())
    ready.append(
      Run(setup, workdir, make_scorer(config, setup), own, watch, config.trackers, told)
    )
  idle = [
    name for name in teachers if name not in ready[0].setup.distiller.teachers.names
  ]
  if idle:
    method = runs[0][0].method.name
    say(
      f'{title}: method {method} does not use {", ".join(idle)} in training; only the '
      'measurement does'
    )
  variables = {name: (t.state.params, t.state.stats) for name, t in teachers.items()}
  fit(ready, ready[0].setup.join_teachers(variables), title)
  if runs[0][0].swa.start:
    for run in ready:
      weight_average.write(run.setup, run.workdir, run.title)


def train_members(
  config: ConfigDict,
  workdir: pathlib.Path,
  data_dir: str,
  title: str,
  measured: bool = True,
) -> None:
  """Trains the independently seeded copies of an experiment, with the same teachers.

  `measured` says whether each is measured by itself, too.
  """
  for number in range(config.members):
    member = ConfigDict(config.to_dict())
    member.members = 1
    member.seed = config.seed + number
    for name, entry in member.teachers.items():
      entry.workdir = str(teacher_folder(config, workdir, name))
      entry.file = entry.recipe = ''
    place, name = member_folder(workdir, number), f'{title} {number}'
    if measured:
      train_and_evaluate(member.lock(), place, data_dir, name, alone=False)
    else:
      train(member.lock(), place, data_dir, name)


def train_teachers(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: Dataset,
  data_dir: str,
  mesh: jax.sharding.Mesh,
) -> dict[str, Trained]:
  """Every teacher of the config, trained first where it has no workdir.

  Raises:
    InputError: a teacher's classes or image shape are not those of the data.
  """
  found = {}
  # Those that exist come first, so that a missing one is noticed before others train.
  there = lambda entry: bool(entry.workdir or entry.file)
  order = sorted(config.teachers.items(), key=lambda item: not there(item[1]))
  for name, entry in order:
    place = teacher_folder(config, workdir, name)
    if entry.file and not entry.workdir:
      import_teacher(entry, place, config, name, data)
    elif not entry.workdir:
      train_and_evaluate(
        entry.config, place, data_dir, title=f'teacher {name}', alone=False
      )
    else:
      check_finished(name, place)
    teacher = load_teacher(config, workdir, name, mesh, config.precision)
    check_teacher(name, teacher, data)
    found[name] = teacher
  return {name: found[name] for name in config.teachers}
