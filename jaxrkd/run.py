"""One experiment from its config to its results: teachers, student, measurement."""

import contextlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd.data import Dataset
from jaxrkd.errors import InputError
from jaxrkd.evaluate import results, robustness
from jaxrkd.run_results import evaluate_run
from jaxrkd.run_summary import table_rows
from jaxrkd.run_teachers import (
  check_classes,
  check_finished,
  check_sources,
  check_teacher,
  import_teacher,
)
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.crew import STUDENT
from jaxrkd.train.load import (
  Trained,
  load_teacher,
  member_folder,
  teacher_folder,
)
from jaxrkd.train.loop import Judge, fit
from jaxrkd.train.setup import Setup, prepare
from jaxrkd.train.state import NetState

# Keys of a config that change how or what is computed, but no result.
INERT = ('stacking', 'remat', 'expected', 'micro_batch', 'mesh')


def train_and_evaluate(
  config: ConfigDict,
  workdir: str | pathlib.Path,
  data_dir: str = '',
  title: str = 'student',
  checks: bool = True,
) -> dict[str, Any]:
  """Does whatever of an experiment is not done yet; returns its results.

  Args:
    config: resolved (`build.resolve`).
    workdir: folder of the run; see the README for what it holds.
    data_dir: where TFDS data lie.
    title: what the network is called in what is printed.
    checks: whether to check, at the end, that the numbers can be trusted.

  Raises:
    InputError: the config, the data or the workdir cannot be used.
  """
  workdir = pathlib.Path(workdir)
  done = workdir / 'results.json'
  found = _finished(done)
  if sharding.agreed(found is not None) and found is not None:
    claim(workdir, config)
    say(f'{title}: finished before; {done} holds the results, nothing to do')
    say(results.table(table_rows(found, title)))
    return found
  # Whatever can be refused is refused before the workdir is taken and teachers train.
  mesh = sharding.data_mesh(fsdp=config.mesh.fsdp)
  sharding.check_batch_size(config.batch_size, mesh, 'batch_size')
  sharding.check_batch_size(config.evaluation.batch_size, mesh, 'evaluation.batch_size')
  known = check_sources(config, workdir)
  data = sharding.first_then_others(lambda: build.dataset(config, data_dir))
  for name, classes in known.items():
    check_classes(name, classes, data.image_shape, data)
  build.network(config.student, data.classes, data.image_shape, config.precision)
  claim(workdir, config)
  more = f', {len(data.extra)} extra images' if data.extra else ''
  say(
    f'{title}: {data.name}, {len(data.train)} training, {len(data.heldout)} held-out and '
    f'{len(data.test)} test images of {data.classes} classes{more}'
  )
  teachers = train_teachers(config, workdir, data, data_dir, mesh)
  if config.members > 1:
    train_members(config, workdir, data_dir, title)
  else:
    train_student(config, workdir, data, mesh, teachers, title)
  return evaluate_run(config, workdir, data, mesh, done, title=title, checks=checks)


def _finished(path: pathlib.Path) -> dict[str, Any] | None:
  """The results of a run that has nothing left to do."""
  try:
    found = json.loads(path.read_text())
  except (OSError, ValueError):
    return None
  # Without the key in runs of older versions, which wrote results last.
  return found if found.get('finished', True) else None


def train_student(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: Dataset,
  mesh: jax.sharding.Mesh,
  teachers: dict[str, Trained],
  title: str,
) -> None:
  """Trains to the end of the config's epochs."""
  nets = {name: teacher.net for name, teacher in teachers.items()}
  setup = prepare(config, data, nets, mesh)
  idle = [name for name in teachers if name not in setup.faculty.names]
  if idle:
    say(
      f'{title}: method {config.method.name} does not ask {", ".join(idle)}; measured only'
    )
  variables = {name: (t.state.params, t.state.stats) for name, t in teachers.items()}
  fit(setup, setup.join_teachers(variables), workdir, make_judge(setup), title)


def train_members(
  config: ConfigDict, workdir: pathlib.Path, data_dir: str, title: str
) -> None:
  """Trains the independently seeded copies of an experiment, with the same teachers."""
  for number in range(config.members):
    member = ConfigDict(config.to_dict())
    member.members = 1
    member.seed = config.seed + number
    for name, entry in member.teachers.items():
      entry.workdir = str(teacher_folder(config, workdir, name))
      entry.file = entry.recipe = ''
    train_and_evaluate(
      *(member.lock(), member_folder(workdir, number), data_dir, f'{title} {number}'),
      checks=False,
    )


def claim(workdir: pathlib.Path, config: ConfigDict) -> None:
  """Makes the workdir this experiment's own.

  Raises:
    InputError: it belongs to another config.
  """
  path = workdir / 'config.json'
  wanted = json.loads(config.to_json())
  traces = ('checkpoints', 'teachers', 'members', 'results.json')
  begun = any((workdir / name).exists() for name in traces)
  if path.is_file() and begun:
    changed = configs.differences(_completed(path), _comparable(wanted))
    if changed:
      more = f' and {len(changed) - 1} more keys differ' if len(changed) > 1 else ''
      raise InputError(
        f'{str(workdir)!r} holds a run of another config ({changed[0]}{more}); use '
        'another --workdir, or the config it was made with'
      )
  elif sharding.is_first_process():
    workdir.mkdir(parents=True, exist_ok=True)
    files.write_json(path, wanted)


def _completed(path: pathlib.Path) -> dict[str, Any]:
  """The config of a run, with the defaults of keys that are newer than the run."""
  found = json.loads(path.read_text())
  # A config of another version, which is no longer understood, is compared as it is.
  with contextlib.suppress(InputError):
    found = json.loads(build.resolve(ConfigDict(found)).to_json())
  return _comparable(found)


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
  """Without the keys that change no result."""
  return {key: value for key, value in config.items() if key not in INERT}


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
        entry.config, place, data_dir, title=f'teacher {name}', checks=False
      )
    else:
      check_finished(name, place)
    teacher = load_teacher(config, workdir, name, mesh, config.precision)
    check_teacher(name, teacher, data)
    found[name] = teacher
  return {name: found[name] for name in config.teachers}


def make_judge(setup: Setup) -> Judge:
  """Scores students on the selection split, as `config.select` says."""
  select = setup.config.select
  split = getattr(setup.data, select.split)
  loaded = robustness.load_split(split, setup.config.evaluation.batch_size, setup.mesh)
  attack = build.selection_attack(setup.config)
  key = jax.random.key(setup.config.seed)

  crew = setup.parts.crew
  judged = (STUDENT,) if crew.student else crew.names

  def score(name: str, state: NetState) -> dict[str, float]:
    variables = (state.params, state.stats)
    subject = robustness.Subject(crew.nets[name], variables)
    found = robustness.judge(subject, loaded, attack, key)
    scores = {
      'clean': found.clean_accuracy,
      'robust': found.robust_accuracy,
      'weighted': found.weighted,
    }
    if attack is None:
      scores = {'clean': found.clean_accuracy}
    return {**scores, 'score': scores[select.metric]}

  def judge(nets: Mapping[str, NetState]) -> dict[str, dict[str, float]]:
    return {name: score(name, nets[name]) for name in judged}

  return judge
