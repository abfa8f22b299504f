"""One experiment from its config to its results: teachers, student, measurement."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd.data import Dataset
from jaxrkd.errors import InputError
from jaxrkd.evaluate import results, robustness
from jaxrkd.evaluate.measure import Measurement
from jaxrkd.runtime import files, sharding
from jaxrkd.train.crew import STUDENT
from jaxrkd.train.load import (
  Trained,
  chosen,
  load_trained,
  member_folder,
  read_config,
)
from jaxrkd.train.loop import Judge, fit
from jaxrkd.train.setup import Setup, prepare
from jaxrkd.train.state import NetState


def say(text: str) -> None:
  """Prints on the first process."""
  if sharding.is_first_process():
    print(text, flush=True)


def train_and_evaluate(
  config: ConfigDict,
  workdir: str | pathlib.Path,
  data_dir: str = '',
  title: str = 'student',
) -> dict[str, Any]:
  """Does whatever of an experiment is not done yet; returns its results.

  Args:
    config: resolved (`build.resolve`).
    workdir: folder of the run; see the README for what it holds.
    data_dir: where TFDS data lie.
    title: what the network is called in what is printed.

  Raises:
    InputError: the config, the data or the workdir cannot be used.
  """
  workdir = pathlib.Path(workdir)
  done = workdir / 'results.json'
  if sharding.agreed(done.is_file()):
    claim(workdir, config)
    found = json.loads(done.read_text())
    say(f'{title}: finished before; {done} holds the results, nothing to do')
    say(results.table(table_rows(found, title)))
    return found
  # Whatever can be refused is refused before the workdir is taken and teachers train.
  mesh = sharding.data_mesh()
  sharding.check_batch_size(config.batch_size, mesh, 'batch_size')
  sharding.check_batch_size(config.evaluation.batch_size, mesh, 'evaluation.batch_size')
  data = sharding.first_then_others(lambda: build.dataset(config, data_dir))
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
  found = evaluate_run(config, workdir, data, mesh, teachers, title=title)
  if sharding.is_first_process():
    files.write_json(done, found)
  return found


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
    train_and_evaluate(
      member.lock(), member_folder(workdir, number), data_dir, f'{title} {number}'
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
    changed = configs.differences(json.loads(path.read_text()), wanted)
    if changed:
      more = f' and {len(changed) - 1} more keys differ' if len(changed) > 1 else ''
      raise InputError(
        f'{str(workdir)!r} holds a run of another config ({changed[0]}{more}); use '
        'another --workdir, or the config it was made with'
      )
  elif sharding.is_first_process():
    workdir.mkdir(parents=True, exist_ok=True)
    files.write_json(path, wanted)


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
  order = sorted(config.teachers.items(), key=lambda item: not item[1].workdir)
  for name, entry in order:
    place = teacher_folder(config, workdir, name)
    if not entry.workdir:
      train_and_evaluate(entry.config, place, data_dir, title=f'teacher {name}')
    elif not sharding.agreed((place / 'results.json').is_file()):
      read_config(place)
      raise InputError(
        f'teacher {name!r} is to come from {str(place)!r}, whose training is not finished; '
        'finish it first by running the command that began it'
      )
    teacher = load_trained(
      place,
      entry.checkpoint,
      mesh,
      config.precision,
      entry.epoch,
      entry.get('network', ''),
    )
    check_teacher(name, teacher, data)
    found[name] = teacher
  return {name: found[name] for name in config.teachers}


def teacher_folder(config: ConfigDict, workdir: pathlib.Path, name: str) -> pathlib.Path:
  """Where a teacher's run is."""
  entry = config.teachers[name]
  return pathlib.Path(entry.workdir) if entry.workdir else workdir / 'teachers' / name


def check_teacher(name: str, teacher: Trained, data: Dataset) -> None:
  """Raises `InputError` for a teacher of other classes or images than the data's."""
  shape = list(teacher.record['image_shape'])
  if teacher.record['classes'] != data.classes or shape != list(data.image_shape):
    raise InputError(
      f'teacher {name!r} knows {teacher.record["classes"]} classes of images {shape}, but '
      f'{data.name} has {data.classes} classes of images {list(data.image_shape)}; choose '
      f'a teacher trained on {data.name}'
    )
  broken = [
    path
    for path, leaf in jax.tree_util.tree_leaves_with_path(
      (teacher.state.params, teacher.state.stats)
    )
    if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.isfinite(leaf).all())
  ]
  if broken:
    raise InputError(
      f'teacher {name!r} has weights that are not finite numbers '
      f'({jax.tree_util.keystr(broken[0])}); its training diverged or its file is '
      'damaged, so train it again or name another'
    )


def table_rows(found: dict[str, Any], title: str) -> dict[str, dict[str, Any]]:
  """The rows of the printed table, out of results.json."""
  teachers = {f'teacher {name}': row for name, row in found['teachers'].items()}
  online = {f'online {name}': row for name, row in found.get('online', {}).items()}
  students = found.get('students') or {title: found['student']}
  return {
    **teachers,
    **online,
    **{
      f'{name} {version}': row
      for name, versions in students.items()
      for version, row in versions.items()
    },
  }


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
    found = robustness.judge(crew.nets[name], variables, loaded, setup.mesh, attack, key)
    scores = {
      'clean': found.clean_accuracy,
      'robust': found.robust_accuracy,
      'weighted': found.weighted,
    }
    if attack is None:
      scores = {'clean': found.clean_accuracy}
    return {**scores, 'score': scores[select.metric]}

  def judge(nets: Mapping[str, NetState]) -> tuple[dict[str, float], str]:
    each = {name: score(name, nets[name]) for name in judged}
    first = max(each, key=lambda name: each[name]['score'])
    if len(each) == 1:
      return each[first], first
    # Beside the best one's, every student's own score.
    return {**each[first], **{n: s['score'] for n, s in each.items()}}, first

  return judge


def evaluate_run(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: Dataset,
  mesh: jax.sharding.Mesh,
  teachers: dict[str, Trained],
  folder: str = 'eval',
  title: str = 'student',
) -> dict[str, Any]:
  """Measures teachers and student, prints the table, returns results.json.

  Args:
    config: of the run; its `evaluation` may differ from the one it was trained with.
    workdir: the run.
    data: all splits.
    mesh: the devices.
    teachers: loaded.
    folder: per-example results go to workdir/folder/<network>/<attack>.npz.
    title: what the student is called in the table.
  """
  measure = Measurement(config, data, mesh)
  place = workdir / folder
  found: dict[str, Any] = {'teachers': {}, 'student': {}}
  for name, teacher in teachers.items():
    say(f'measuring teacher {name}')
    found['teachers'][name] = _measure_teacher(
      measure, config, workdir, name, teacher, folder
    )
  versions = student_versions(workdir, mesh, config)
  best = versions['best']
  crew = best.crew
  names = crew.names if crew else ()
  several = crew is not None and crew.student is None
  measured = functools.partial(_measure_version, measure, place, config)
  if crew is not None and several:
    # Equal students: each is measured, and the best one stands for the run.
    stands = chosen(crew, best.record)
    found['students'] = {}
    for name in names:
      say(f'measuring {name}')
      found['students'][name] = {
        version: measured(t.of(name, version == 'ema'), version, f'{name}/')
        for version, t in versions.items()
      }
    found['student'] = found['students'][stands]
    found['chosen'] = stands
  else:
    for version, trained in versions.items():
      say(f'measuring {title} {version}')
      found['student'][version] = measured(trained, version)
    found['online'] = {}
    for name in names:
      say(f'measuring online teacher {name}')
      found['online'][name] = measured(best.of(name), 'best', f'{name}/')
  if crew is not None and names:
    members = [(best.nets[n].params, best.nets[n].stats) for n in names]
    found['particles'] = measure.particles(crew.group, members)
  found['selection'] = _selection(config, best.record['best'])
  found['evaluation'] = json.loads(config.evaluation.to_json())
  found['seed'] = config.seed
  found['members'] = config.members
  found['precision'] = config.precision
  found['versions'] = results.versions()
  part = config.evaluation
  say(
    f'\n{data.name} {part.split}, {part.threat.name} eps {part.threat.eps:.4g}, accuracy '
    f'in % (W: mean of clean and robust)\n{results.table(table_rows(found, title))}'
  )
  if several:
    say(f'{title}: {found["chosen"]} was the best on the {config.select.split} split')
  if names:
    shown = found['particles']
    say(
      f'its {len(names)} particles by {config.attack.name} are {shown["linf"]:.1f} '
      f'(Linf, of 255) and {255 * shown["l2"]:.0f} (L2) apart in the mean, with a '
      f'cross-entropy of {shown["ce_mean"]:.2f}'
    )
  if config.members > 1:
    say(
      f'{title}: the average of {config.members} networks, attacked as one; each one has '
      f'its own results in {workdir / "members"}'
    )
  if config.select.split == 'test':
    say(f'note: {found["selection"]["note"]}')
  return found


def _measure_teacher(
  measure: Measurement,
  config: ConfigDict,
  workdir: pathlib.Path,
  name: str,
  teacher: Trained,
  folder: str,
) -> dict[str, Any]:
  entry, home = config.teachers[name], teacher_folder(config, workdir, name)
  # What its own run measured with the same settings is taken from there.
  also = None if entry.epoch or entry.get('network') else home / folder / entry.checkpoint
  variables = (teacher.state.params, teacher.state.stats)
  identity = _identity(teacher, config)
  if entry.checkpoint == 'ema':
    identity['version'] = 'ema'
  if entry.get('network'):
    identity['network'] = entry.network
  summary = measure(teacher.net, variables, workdir / folder / name, identity, also)
  return {
    **summary,
    'step': teacher.record.get('steps', teacher.record['step']),
    'checkpoint': f'epoch {entry.epoch}' if entry.epoch else entry.checkpoint,
    'kind': entry.kind,
    'workdir': str(home),
  }


def _selection(config: ConfigDict, best: Any) -> dict[str, Any]:
  select = config.select
  return {
    'split': select.split,
    'metric': select.metric,
    'attack': select.attack.to_dict(),
    'best': best,
    'note': 'the best checkpoint was chosen on the test set, as the papers do; its '
    'accuracies are optimistic'
    if select.split == 'test'
    else 'the best checkpoint was chosen on images held out from training',
  }


def _identity(trained: Trained, config: ConfigDict) -> dict[str, Any]:
  own = trained.config.to_dict()
  own.pop('evaluation')
  return {
    'run': robustness.fingerprint(own),
    'step': trained.record.get('steps', trained.record['step']),
    'precision': config.precision,
  }


def _measure_version(
  measure: Measurement,
  place: pathlib.Path,
  config: ConfigDict,
  trained: Trained,
  version: str,
  prefix: str = '',
) -> dict[str, Any]:
  """One version of a network; its step is in the result."""
  identity = _identity(trained, config)
  if version == 'ema':
    identity['version'] = 'ema'
  if prefix:
    identity['network'] = prefix
  home = place / f'{prefix}{version}'
  variables = (trained.state.params, trained.state.stats)
  # Where the last epoch was the best, it is measured once.
  summary = measure(trained.net, variables, home, identity, place / f'{prefix}best')
  return {**summary, 'step': trained.record.get('steps', trained.record['step'])}


def student_versions(
  workdir: pathlib.Path, mesh: jax.sharding.Mesh, config: ConfigDict
) -> dict[str, Trained]:
  """The student's best, last and averaged parameters."""
  found = {
    kind: load_trained(workdir, kind, mesh, config.precision) for kind in ('best', 'last')
  }
  if jax.tree.leaves(found['last'].state.average):
    average = found['last'].state.average
    state = dataclasses.replace(found['last'].state, params=average)
    found['ema'] = found['last']._replace(state=state)
  # One `Net` for all, so that what is compiled for it serves them all.
  return {kind: t._replace(net=found['last'].net) for kind, t in found.items()}
