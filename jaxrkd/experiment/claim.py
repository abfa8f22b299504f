"""A workdir belongs to one experiment."""

import contextlib
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.places import absolute_paths
from jaxrkd.experiment.resolve import resolve
from jaxrkd.experiment.threats import following
from jaxrkd.runtime import files, sharding

# Keys of a config that change how or what is computed, but no result.
WITHOUT_EFFECT = (
  *('stacking', 'remat', 'expected', 'micro_batch', 'mesh', 'stream', 'trackers'),
)


def claim(workdir: pathlib.Path, config: ConfigDict) -> None:
  """Makes the workdir this experiment's own.

  Raises:
    InputError: it belongs to another config.
  """
  path = workdir / 'config.json'
  wanted = json.loads(config.to_json())
  traces = ('checkpoints', 'teachers', 'members', 'seeds', 'results.json')
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
    files.write_json(path, wanted)


def _completed(path: pathlib.Path) -> dict[str, Any]:
  """The config of a run, with the defaults of keys that are newer than the run."""
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise InputError(
      f'{str(path)!r} cannot be read ({error}); use another --workdir, or put a copy of the '
      'file there'
    ) from error
  # Older runs have paths as they were given: from where the command was started.
  absolute_paths(found)
  # A config of another version, which is no longer understood, is compared as it is.
  with contextlib.suppress(InputError):
    found = json.loads(resolve(following(ConfigDict(found)), past=True).to_json())
  return _comparable(found)


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
  """Without the keys that change no result, its own and those of its teachers."""
  found = {key: value for key, value in config.items() if key not in WITHOUT_EFFECT}
  if config.get('teachers'):
    found['teachers'] = {
      name: {**entry, 'config': _comparable(entry.get('config') or {})}
      for name, entry in config['teachers'].items()
    }
  return found
