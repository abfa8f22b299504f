"""What files of results are called that were measured otherwise than the run says."""

import pathlib
import re
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment.load import teacher_folder

# Keys of `evaluation` that change no number, and so need no other file.
NEVER_NAMED = ('batch_size', 'trust', 'gallery', 'distances')
# Most characters of a name that say what is in the file; a mark tells names apart.
LONGEST = 60
ATTACKS, TEACHERS = 'attacks.', 'teachers.'


def ending(config: ConfigDict, run: ConfigDict, workdir: pathlib.Path) -> str:
  """What names end in: '-autoattack+pgd_40-eps0.2-1f0c2d5e', nothing for the run's settings.

  The same for all runs of several seeds.

  Args:
    config: what is measured with, resolved.
    run: of the run, resolved.
    workdir: of the run.
  """
  now, was = _settings(config, workdir), _settings(run, workdir)
  changes = {k: now.get(k) for k in {**was, **now} if now.get(k) != was.get(k)}
  if not changes:
    return ''
  label = re.sub(r'[^\w.+-]', '_', _label(changes, now, was))[:LONGEST]
  return f'-{label}-{fingerprint(changes)[:8]}'


def _settings(config: ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
  """What changes numbers, by its key; an attack with its options is one."""
  part = {k: v for k, v in config.evaluation.to_dict().items() if k not in NEVER_NAMED}
  return {
    **{f'{ATTACKS}{name}': options for name, options in part.pop('attacks').items()},
    **{f'threat.{key}': value for key, value in part.pop('threat').items()},
    **part,
    'seed': config.seed,
    **{
      f'{TEACHERS}{name}': str(teacher_folder(config, workdir, name))
      for name in config.teachers
    },
  }


def _label(changes: dict[str, Any], now: dict[str, Any], was: dict[str, Any]) -> str:
  """Which columns, if they are others, and what else is new."""
  columns, before = (
    sorted(key.removeprefix(ATTACKS) for key in settings if key.startswith(ATTACKS))
    for settings in (now, was)
  )
  texts = ['+'.join(columns)] if columns != before else []
  for key, value in changes.items():
    if not key.startswith((ATTACKS, TEACHERS)):
      short = f'{value:.4g}' if isinstance(value, float) else value
      texts.append(value if isinstance(value, str) else f'{key.split(".")[-1]}{short}')
  if any(key.startswith(TEACHERS) for key in changes):
    texts.append('teachers')
  return '-'.join(texts) or 'attacks'
