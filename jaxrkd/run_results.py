"""The results of a finished run: every network measured, results.json, the table."""

import dataclasses
import functools
import json
import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd.data import Dataset
from jaxrkd.evaluate import results, robustness
from jaxrkd.evaluate.measure import Measurement
from jaxrkd.runtime.progress import say
from jaxrkd.train.load import Trained, chosen, load_trained, teacher_folder


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
  measured = functools.partial(_measure_version, measure, place, config)
  if crew is not None and crew.student is None:
    # Equal students: each is measured, as it was best, and the best one stands for the run.
    stands = chosen(crew, best.record)
    found['students'] = {}
    for name in names:
      say(f'measuring {name}')
      own = {version: t.of(name, version == 'ema') for version, t in versions.items()}
      own['best'] = load_trained(workdir, 'best', mesh, config.precision, network=name)
      found['students'][name] = {
        version: measured(t, version, f'{name}/') for version, t in own.items()
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
  # Particles climb the cross-entropy; what another inner problem makes is not described.
  if crew is not None and names and config.inner.name in ('own', 'ce'):
    members = [(best.nets[n].params, best.nets[n].stats) for n in names]
    found['particles'] = measure.particles(crew.group, members)
  found['selection'] = _selection(config, best.record['best'])
  found['evaluation'] = json.loads(config.evaluation.to_json())
  found['seed'] = config.seed
  found['members'] = config.members
  found['precision'] = config.precision
  found['versions'] = results.versions()
  _tell(config, workdir, data.name, found, title)
  return found


def _tell(
  config: ConfigDict,
  workdir: pathlib.Path,
  data: str,
  found: dict[str, Any],
  title: str,
) -> None:
  """Prints the table and what one must know to read it."""
  part = config.evaluation
  say(
    f'\n{data} {part.split}, {part.threat.name} eps {part.threat.eps:.4g}, accuracy '
    f'in % (W: mean of clean and robust)\n{results.table(table_rows(found, title))}'
  )
  if 'chosen' in found:
    say(f'{title}: {found["chosen"]} was the best on the {config.select.split} split')
  count = len(found.get('students') or found.get('online') or ())
  if 'particles' in found and count > 1:
    shown = found['particles']
    say(
      f'particles of the training attack ({config.attack.name}) on {count} networks, '
      f'{part.split} images, in levels of 255: {shown["linf"]:.1f} apart in Linf, '
      f'{255 * shown["l2"]:.0f} in L2; mean cross-entropy {shown["ce_mean"]:.2f}'
    )
  if config.members > 1:
    say(
      f'{title}: the average of {config.members} networks, attacked as one; each one has '
      f'its own results in {workdir / "members"}'
    )
  if config.select.split == 'test':
    say(f'note: {found["selection"]["note"]}')


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
    'network': entry.get('network', ''),
    'workdir': str(home),
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
