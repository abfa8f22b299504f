"""The results of a finished run: every network measured, results.json, the table."""

import contextlib
import dataclasses
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd import commands
from jaxrkd.data import Dataset
from jaxrkd.evaluate import results
from jaxrkd.evaluate.task import Subject
from jaxrkd.experiment import make, recipe_changes
from jaxrkd.experiment.beside_table import check_trust, keep_examples, measure_distances
from jaxrkd.experiment.load import (
  Trained,
  chosen,
  is_imported,
  load_teacher,
  load_trained,
  teacher_folder,
)
from jaxrkd.experiment.measurement import Measurement
from jaxrkd.experiment.subjects import identity_of, load_surrogates, subject_of
from jaxrkd.experiment.summary import (
  tell,
  tell_particles,
)
from jaxrkd.experiment.threats import differs
from jaxrkd.runtime import files, preemption, sharding, stages
from jaxrkd.runtime.progress import say
from jaxrkd.train.averages import moving_average

# What versions are called that were kept after an epoch.
EPOCH = 'epoch '


def evaluate_run(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: Dataset,
  mesh: jax.sharding.Mesh,
  path: pathlib.Path,
  folder: str = 'eval',
  title: str = 'student',
  checks: bool = True,
  versions: Sequence[str] = (),
  teachers: bool = True,
) -> dict[str, Any]:
  """Measures teachers and student, prints the table, returns results.json.

  Accuracies are written before what is optional begins: particles, checks, the report.

  Args:
    config: of the run; its `evaluation` may differ from the one it was trained with.
    workdir: the run.
    data: all splits.
    mesh: the devices.
    path: of results.json.
    folder: per-example results go to workdir/folder/<network>/<attack>.npz.
    title: what the student is called in the table.
    checks: whether to make those of `evaluation.trust`.
    versions: of the student: 'best', 'last', 'ema', 'swa', or 'epoch 20' of one that was
      kept; empty measures the first four, as far as there are.
    teachers: whether teachers are measured, too.
  """
  stages.begin(f'measuring {title}')
  surrogates = load_surrogates(config, workdir, data, mesh)
  measure = Measurement(config, data, mesh, surrogates)
  found, best = _measure_networks(
    config, workdir, mesh, measure, folder, title, versions, teachers
  )
  found['selection'] = _selection(config, best.best)
  found['training_threat'] = config.threat.to_dict()
  found['surrogates'] = {
    name: {'note': getattr(surrogate.subject.net, 'note', '')}
    for name, surrogate in surrogates.items()
  }
  found['threat_note'] = threat_note(config, is_imported(workdir))
  found['data_notes'] = list(data.notes)
  found['title'], found['data'] = title, data.name
  found['class_names'] = list(data.test.names)
  before = _before(path)
  found['command'] = before.get('command') or commands.started()
  found['recipe'] = before.get('recipe') or _recipe(config, workdir)
  found['images'] = measure.images
  found['evaluation'] = json.loads(config.evaluation.to_json())
  found['seed'] = config.seed
  found['members'] = config.members
  found['precision'] = 'float32'
  found['versions'] = results.versions()
  if not (checks and config.evaluation.trust.images) and _same_numbers(before, found):
    # What was checked stays so: leaving the checks out must not clear a verdict.
    kept = ('trust', 'curves', 'distances')
    found |= {key: before[key] for key in kept if key in before}
  found['finished'] = False
  # Printed first: numbers on a screen survive a full disk.
  tell(config, workdir, data.name, found, title)
  _write(path, found)
  preemption.end_if_asked()
  # Particles climb the cross-entropy; what another inner problem makes is not described.
  if best.networks and best.networks.names and config.inner.name in ('own', 'ce'):
    members = [(best.nets[n].params, best.nets[n].stats) for n in best.networks.names]
    found['particles'] = measure.particles(best.networks.group, members)
    tell_particles(config, found)
  stands, place = best, workdir / folder / 'best'
  if 'chosen' in found:
    stands = best.of(found['chosen'])
    place = workdir / folder / found['chosen'] / 'best'
  if checks and config.evaluation.trust.images:
    preemption.end_if_asked()
    found |= check_trust(config, workdir, mesh, measure, stands, place, title)
  if checks and config.evaluation.distances.attacks and not versions:
    preemption.end_if_asked()
    found['distances'] = measure_distances(
      config, workdir, mesh, measure, stands, place, workdir / folder, title
    )
    _write(path, found)
  if checks and config.evaluation.gallery.images and not versions:
    preemption.end_if_asked()
    keep_examples(config, workdir, mesh, measure, stands, place, workdir / folder)
  found['finished'] = True
  _write(path, found)
  if sharding.is_first_process():
    # matplotlib takes half a second to import.
    from jaxrkd.experiment import run_report

    say(f'report: {run_report.write(workdir, path)}')
  return found


def _measure_networks(
  config: ConfigDict,
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
  measure: Measurement,
  folder: str,
  title: str,
  wanted: Sequence[str],
  teachers: bool,
) -> tuple[dict[str, Any], Trained]:
  """The accuracies in results.json, and the best checkpoint; arguments as above."""
  place = workdir / folder
  found: dict[str, Any] = {'teachers': {}, 'student': {}}
  for name in config.teachers if teachers else ():
    say(f'measuring teacher {name}')
    found['teachers'][name] = _measure_teacher(
      measure, config, workdir, name, folder, mesh
    )
    preemption.end_if_asked()
  versions = student_versions(workdir, mesh, 'float32', wanted)
  if 'last' in versions and not is_imported(workdir):
    found['cost'] = _cost(config, versions['last'])
  precision = config.evaluation.search_precision
  searched = versions
  if precision != 'float32':
    searched = student_versions(workdir, mesh, precision, wanted)
  best = versions.get('best') or load_trained(workdir, 'best', mesh, 'float32')
  networks = best.networks
  names = networks.names if networks else ()
  measured = functools.partial(_measure_version, measure, place)
  if networks is not None and networks.student is None:
    # Equal students: each is measured, as it was best, and the best one stands for the run.
    stands = chosen(networks, best.record)
    found['students'] = {}
    for name in names:
      say(f'measuring {name}')
      own = {version: t.of(name, version == 'ema') for version, t in versions.items()}
      if 'best' in own:
        own['best'] = load_trained(workdir, 'best', mesh, 'float32', network=name)
      found['students'][name] = {
        version: measured(t, searched[version].of(name), version, name, name)
        for version, t in own.items()
      }
    found['student'] = found['students'][stands]
    found['chosen'] = stands
  else:
    for version, trained in versions.items():
      say(f'measuring {title} {version}')
      found['student'][version] = measured(trained, searched[version], version, title)
    found['online'] = {}
    for name in names if teachers else ():
      say(f'measuring online teacher {name}')
      nets = best.of(name), searched['best'].of(name)
      found['online'][name] = measured(*nets, 'best', f'online {name}', name)
  return found, best


def _before(path: pathlib.Path) -> dict[str, Any]:
  """The results that are there already; measured again they are those of their command."""
  with contextlib.suppress(OSError, ValueError):
    found = json.loads(path.read_text(encoding='utf-8'))
    if isinstance(found, dict):
      return found
  return {}


def _same_numbers(before: dict[str, Any], found: dict[str, Any]) -> bool:
  """Whether results that are there are of the same network, images and attacks."""
  told = ('step', 'weights', 'clean', 'worst_case', 'images', 'index_hash')
  rows = before.get('student', {}), found['student']
  same = [{k: {t: row.get(t) for t in told} for k, row in r.items()} for r in rows]
  return same[0] == same[1] and before.get('images') == found['images']


def _recipe(config: ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
  """What differs from the recipe, noted while the command's files are those that it named."""
  spec, changes = recipe_changes.changes(
    workdir, config, commands.started(), read_files=True
  )
  return {'spec': spec, 'changes': changes}


def _cost(config: ConfigDict, last: Trained) -> dict[str, Any]:
  """What the training took; of an ensemble of runs each of them took as much."""
  record = last.record
  return {
    'seconds': record.seconds,
    'steps': record.step,
    'epochs': config.epochs,
    'batch_size': config.batch_size,
    'flop_per_step': record.flop_per_step,
  }


def threat_note(config: ConfigDict, imported: bool = False) -> str:
  """How the measured ball differs from the one of training; '' where it does not."""
  attacks = not imported and make.method(config).inner.prepare is not None
  return differs(config, attacks)


def _write(path: pathlib.Path, found: dict[str, Any]) -> None:
  if sharding.is_first_process():
    files.write_json(path, found)


def _measure_teacher(
  measure: Measurement,
  config: ConfigDict,
  workdir: pathlib.Path,
  name: str,
  folder: str,
  mesh: jax.sharding.Mesh,
) -> dict[str, Any]:
  entry, home = config.teachers[name], teacher_folder(config, workdir, name)
  teacher = load_teacher(config, workdir, name, mesh)
  precision = config.evaluation.search_precision
  searched = teacher
  if precision != 'float32':
    searched = load_teacher(config, workdir, name, mesh, precision)
  # What its own run measured with the same settings is taken from there.
  also = None if entry.epoch or entry.get('network') else home / folder / entry.checkpoint
  identity = identity_of(teacher)
  if entry.checkpoint in ('ema', 'swa'):
    identity['version'] = entry.checkpoint
  if entry.get('network'):
    identity['network'] = entry.network
  summary = measure(
    subject_of(teacher),
    workdir / folder / name,
    identity,
    also,
    subject_of(searched),
    f'teacher {name}',
  )
  return {
    **summary,
    'step': teacher.step,
    'weights': identity['weights'],
    'checkpoint': f'epoch {entry.epoch}' if entry.epoch else entry.checkpoint,
    'kind': entry.kind,
    'network': entry.get('network', ''),
    'workdir': str(home),
    **_note(teacher),
  }


def _note(trained: Trained) -> dict[str, str]:
  """What a network says of itself, where it says something."""
  return {'note': trained.net.note} if trained.net.note else {}


def _measure_version(
  measure: Measurement,
  place: pathlib.Path,
  trained: Trained,
  searched: Trained,
  version: str,
  title: str,
  network: str = '',
) -> dict[str, Any]:
  """One version of a network; its step is in the result."""
  identity = identity_of(trained)
  if version in ('ema', 'swa'):
    identity['version'] = version
  if network:
    identity['network'] = network
    place = place / network
  # The weights are the same in every precision.
  search = Subject(searched.net, subject_of(trained).variables)
  # Where the last epoch was the best, it is measured once.
  summary = measure(
    subject_of(trained),
    place / version,
    identity,
    place / 'best',
    search,
    f'{title} {version}',
  )
  told = {'step': trained.step, 'weights': identity['weights']}
  return {**summary, **told, **_note(trained)}


def student_versions(
  workdir: pathlib.Path,
  mesh: jax.sharding.Mesh,
  precision: str = 'float32',
  wanted: Sequence[str] = (),
) -> dict[str, Trained]:
  """The student's best, last and averaged parameters, or the versions that are wanted.

  Raises:
    InputError: there is none of a version.
  """
  if wanted:

    def load(version: str) -> Trained:
      if version.startswith(EPOCH):
        epoch = int(version.removeprefix(EPOCH))
        return load_trained(workdir, 'last', mesh, precision, epoch)
      return load_trained(workdir, version, mesh, precision)

    chosen = {version: load(version) for version in wanted}
    first = next(iter(chosen.values()))
    return {version: t._replace(net=first.net) for version, t in chosen.items()}
  # One checkpoint is all that an imported network has.
  kinds = ('best',) if is_imported(workdir) else ('best', 'last')
  found = {kind: load_trained(workdir, kind, mesh, precision) for kind in kinds}
  if is_imported(workdir):
    return found
  average = moving_average(found['last'].state.average)
  if jax.tree.leaves(average):
    state = dataclasses.replace(found['last'].state, params=average)
    found['ema'] = found['last']._replace(state=state)
  # Not of an ensemble of runs from before their averages were there.
  if found['last'].config.get('swa', {}).get('start'):
    found['swa'] = load_trained(workdir, 'swa', mesh, precision)
  # One `Net` for all, so that what is compiled for it serves them all.
  return {kind: t._replace(net=found['last'].net) for kind, t in found.items()}


def _selection(config: ConfigDict, best: Any) -> dict[str, Any]:
  select = config.select
  note = 'the best checkpoint was chosen on images held out from training'
  if select.split == 'test':
    note = (
      'the best checkpoint was chosen on the test set, as the papers do; its accuracies are '
      'optimistic'
    )
  if best is None:
    note = 'the network came from a file; nothing was chosen here'
  return {
    'split': select.split,
    'metric': select.metric,
    'attack': select.attack.to_dict(),
    'best': best,
    'note': note,
  }
