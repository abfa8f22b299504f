"""One experiment from its config to its results: teachers, student, measurement."""

import json
import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd.data import Dataset
from jaxrkd.errors import InputError
from jaxrkd.evaluate import results, robustness
from jaxrkd.evaluate.measure import Measurement
from jaxrkd.runtime import files, sharding
from jaxrkd.train.load import Trained, load_trained
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
  data = build.dataset(config, data_dir)
  build.network(config.student, data.classes, data.image_shape, config.precision)
  claim(workdir, config)
  say(
    f'{title}: {data.name}, {len(data.train)} training, {len(data.heldout)} held-out and '
    f'{len(data.test)} test images of {data.classes} classes'
  )
  teachers = train_teachers(config, workdir, data, data_dir, mesh)
  nets = {name: teacher.net for name, teacher in teachers.items()}
  setup = prepare(config, data, nets, mesh)
  variables = {
    name: (teachers[name].state.params, teachers[name].state.stats)
    for name in setup.parts.method.teachers
  }
  fit(setup, variables, workdir, make_judge(setup), title)
  found = evaluate_run(config, workdir, data, mesh, teachers, title=title)
  if sharding.is_first_process():
    files.write_json(done, found)
  return found


def claim(workdir: pathlib.Path, config: ConfigDict) -> None:
  """Makes the workdir this experiment's own.

  Raises:
    InputError: it belongs to another config.
  """
  path = workdir / 'config.json'
  wanted = json.loads(config.to_json())
  begun = (workdir / 'checkpoints').exists() or (workdir / 'teachers').exists()
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
  for name, entry in config.teachers.items():
    place = pathlib.Path(entry.workdir) if entry.workdir else workdir / 'teachers' / name
    if not entry.workdir:
      train_and_evaluate(entry.config, place, data_dir, title=f'teacher {name}')
    teacher = load_trained(place, entry.checkpoint, mesh, config.precision)
    check_teacher(name, teacher, data)
    found[name] = teacher
  return found


def check_teacher(name: str, teacher: Trained, data: Dataset) -> None:
  """Raises `InputError` for a teacher of other classes or images than the data's."""
  shape = list(teacher.record['image_shape'])
  if teacher.record['classes'] != data.classes or shape != list(data.image_shape):
    raise InputError(
      f'teacher {name!r} knows {teacher.record["classes"]} classes of images {shape}, but '
      f'{data.name} has {data.classes} classes of images {list(data.image_shape)}; choose '
      f'a teacher trained on {data.name}'
    )


def table_rows(found: dict[str, Any], title: str) -> dict[str, dict[str, Any]]:
  """The rows of the printed table, out of results.json."""
  teachers = {f'teacher {name}': row for name, row in found['teachers'].items()}
  return teachers | {f'{title} {name}': row for name, row in found['student'].items()}


def make_judge(setup: Setup) -> Judge:
  """Scores a student on the selection split, as `config.select` says."""
  select = setup.config.select
  split = getattr(setup.data, select.split)
  loaded = robustness.load_split(split, setup.config.evaluation.batch_size, setup.mesh)
  attack = build.selection_attack(setup.config)
  key = jax.random.key(setup.config.seed)

  def judge(student: NetState) -> dict[str, float]:
    variables = (student.params, student.stats)
    found = robustness.judge(setup.parts.net, variables, loaded, setup.mesh, attack, key)
    scores = {
      'clean': found.clean_accuracy,
      'robust': found.robust_accuracy,
      'weighted': found.weighted,
    }
    if attack is None:
      scores = {'clean': found.clean_accuracy}
    return {**scores, 'score': scores[select.metric]}

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
    entry = config.teachers[name]
    home = pathlib.Path(entry.workdir) if entry.workdir else workdir / 'teachers' / name
    say(f'measuring teacher {name}')
    # What a teacher trained here was measured with in its own stage is taken from there.
    same = not entry.workdir and all(
      entry.config[key] == config[key] for key in ('evaluation', 'seed', 'data')
    )
    mine = home / folder / entry.checkpoint if same else place / name
    summary = measure(
      teacher.net,
      (teacher.state.params, teacher.state.stats),
      mine,
      _identity(teacher, config),
    )
    found['teachers'][name] = {
      **summary,
      'step': teacher.record['step'],
      'checkpoint': entry.checkpoint,
      'workdir': str(home),
    }
  for name, (trained, params) in student_versions(workdir, mesh, config).items():
    say(f'measuring {title} {name}')
    identity = {**_identity(trained, config), 'version': 'ema' if name == 'ema' else ''}
    summary = measure(trained.net, (params, trained.state.stats), place / name, identity)
    found['student'][name] = {**summary, 'step': trained.record['step']}
  select = config.select
  found['selection'] = {
    'split': select.split,
    'metric': select.metric,
    'attack': select.attack.to_dict(),
    'best': trained.record['best'],
    'note': 'the best checkpoint was chosen on the test set, as the papers do; its '
    'accuracies are optimistic'
    if select.split == 'test'
    else 'the best checkpoint was chosen on images held out from training',
  }
  found['evaluation'] = json.loads(config.evaluation.to_json())
  found['seed'] = config.seed
  found['precision'] = config.precision
  found['versions'] = results.versions()
  part = config.evaluation
  say(
    f'\n{data.name} {part.split}, {part.threat.name} eps {part.threat.eps:.4g}, accuracy '
    f'in % (W: mean of clean and robust)\n{results.table(table_rows(found, title))}'
  )
  if select.split == 'test':
    say(f'note: {found["selection"]["note"]}')
  return found


def _identity(trained: Trained, config: ConfigDict) -> dict[str, Any]:
  own = trained.config.to_dict()
  own.pop('evaluation')
  return {
    'run': robustness.fingerprint(own),
    'step': trained.record['step'],
    'precision': config.precision,
  }


def student_versions(
  workdir: pathlib.Path, mesh: jax.sharding.Mesh, config: ConfigDict
) -> dict[str, tuple[Trained, Any]]:
  """The student's best, last and averaged parameters, with one `Net` for all."""
  last = load_trained(workdir, 'last', mesh, config.precision)
  best = load_trained(workdir, 'best', mesh, config.precision)._replace(net=last.net)
  versions = {'best': (best, best.state.params), 'last': (last, last.state.params)}
  if jax.tree.leaves(last.state.average):
    versions['ema'] = (last, last.state.average)
  return versions
