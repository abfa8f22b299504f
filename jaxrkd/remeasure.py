"""Evaluating a run that exists, with its own settings or others."""

import pathlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd.errors import InputError
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.run import seeds, train_teachers
from jaxrkd.run.results import evaluate_run
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.load import read_config, seed_folder, teacher_folder

FREE = ('evaluation', 'seed')
# Keys of `evaluation` that change no number, and so need no other file.
INERT = ('batch_size', 'trust')
# Characters of a name that say what is in a file.
LABEL = 60


def remeasure(
  workdir: str | pathlib.Path,
  overrides: list[str],
  data_dir: str = '',
  attacks: list[str] | None = None,
) -> dict[str, Any]:
  """Measures student and teachers of a run; returns what it writes.

  The runs of several seeds (`config.seeds`) are measured one after the other.

  Args:
    workdir: the run.
    overrides: 'key=value' texts that change how it is measured.
    data_dir: where TFDS data lie.
    attacks: the columns, by their short names (`build.columns`); None keeps the run's.

  Raises:
    InputError: not a run, or an override of something that training has fixed.
  """
  workdir = pathlib.Path(workdir)
  old = read_config(workdir)
  for key in (configs.split_override(text)[0] for text in overrides):
    group = key.split('.')[0]
    if group not in FREE and not (group == 'teachers' and key.endswith('.workdir')):
      raise InputError(
        f'config.{key} belongs to training, which is done; evaluation can change '
        f'{", ".join(FREE)}'
      )
    if group == 'seed' and old.get('seeds'):
      raise InputError(
        f'{str(workdir)!r} holds the runs of {len(old.seeds)} seeds, each of which is '
        f'measured with its own; name one of them, such as '
        f'{str(seed_folder(workdir, old.seeds[0]))!r}, to change config.seed'
      )
  if not old.get('seeds'):
    config, name = _changed(workdir, old, overrides, attacks)
    return _measure(config, workdir, name, data_dir, 'student')
  name = _changed(workdir, old, overrides, attacks)[1]
  folders = {str(seed): seed_folder(workdir, seed) for seed in old.seeds}
  found = {}
  for seed, folder in folders.items():
    config, own = _changed(folder, read_config(folder), overrides, attacks)
    found[seed] = _measure(config, folder, own, data_dir, f'student, seed {seed}')
  path = workdir / f'results{name}.json'
  whole = seeds.in_common(found, folders, path)
  say(f'written to {path}')
  return whole


def _changed(
  workdir: pathlib.Path,
  old: ConfigDict,
  overrides: list[str],
  attacks: list[str] | None,
) -> tuple[ConfigDict, str]:
  """How to measure, and what to call its files: nothing for the run's own settings."""
  given = ConfigDict(old.to_dict())
  if attacks is not None:
    # Steps follow the radius, which an override may have changed.
    first = [text for text in overrides if 'evaluation.attacks.' not in text]
    given.evaluation.attacks = build.columns(attacks, build.resolve(old, first))
  config = build.resolve(given, overrides)
  now, was = _settings(config, workdir), _settings(build.resolve(old), workdir)
  changes = {k: now.get(k) for k in {**was, **now} if now.get(k) != was.get(k)}
  if not changes:
    return config, ''
  label = re.sub(r'[^\w.+-]', '_', _label(config, changes, was))[:LABEL]
  return config, f'-{label}-{fingerprint(changes)[:8]}'


def _settings(config: ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
  """What changes numbers, by its key; an attack with its options is one."""
  teachers = {n: str(teacher_folder(config, workdir, n)) for n in config.teachers}
  part = {k: v for k, v in config.evaluation.to_dict().items() if k not in INERT}
  return {
    **{f'attacks.{name}': options for name, options in part.pop('attacks').items()},
    **{f'threat.{key}': value for key, value in part.pop('threat').items()},
    **part,
    'seed': config.seed,
    **{f'teachers.{name}': place for name, place in teachers.items()},
  }


def _label(config: ConfigDict, changes: Mapping[str, Any], was: Collection[str]) -> str:
  """'autoattack+pgd_40-eps0.2': which columns, if others, and what else is new."""
  columns = sorted(config.evaluation.attacks)
  others = {f'attacks.{name}' for name in columns} != {
    key for key in was if key.startswith('attacks.')
  }
  values = {
    key.split('.')[-1]: value
    for key, value in changes.items()
    if not key.startswith(('attacks.', 'teachers.'))
  }
  short = lambda value: f'{value:.4g}' if isinstance(value, float) else value
  texts = [v if isinstance(v, str) else f'{k}{short(v)}' for k, v in values.items()]
  if any(key.startswith('teachers.') for key in changes):
    texts.append('teachers')
  return '-'.join(['+'.join(columns)] * others + texts) or 'attacks'


def _measure(
  config: ConfigDict, workdir: pathlib.Path, name: str, data_dir: str, title: str
) -> dict[str, Any]:
  mesh = sharding.data_mesh()
  data = build.dataset(config, data_dir)
  # Those that are missing are trained, as in the run itself.
  train_teachers(config, workdir, data, data_dir, mesh)
  path = workdir / f'results{name}.json'
  found = evaluate_run(config, workdir, data, mesh, path, f'eval{name}', title)
  say(f'written to {path}')
  return found
