"""What a run's config changed of the recipe that its command names."""

import contextlib
import json
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.load import is_imported
from jaxrkd.experiment.resolve import resolve

# Keys that say where things lie.
PLACES = ('workdir', 'file')
# A run's teachers that were trained on its way.
TEACHERS = 'teachers'
# Groups whose members have any name.
OPEN = ('evaluation.attacks', 'teachers', 'online')
Changes = list[tuple[str, str, str]]


def changes(
  workdir: pathlib.Path, config: ConfigDict, command: str = '', read_files: bool = False
) -> tuple[str, Changes]:
  """The recipe that a run is compared with, and (key, value there, value here).

  Args:
    workdir: the run.
    config: resolved.
    command: what trained it; '' where that is not known.
    read_files: take the file that the command names. Only the command itself may: later, or
      from elsewhere, another file may answer to that name, and reading it runs it.

  Returns:
    ('', []) where no recipe is known.
  """
  if is_imported(workdir):
    return '', []
  for spec in _recipes(command, config, read_files):
    try:
      recipe = resolve(configs.load_spec(spec))
    except InputError:
      continue
    if is_teacher(workdir):
      # Trained on the way: its recipe is a part of the other's.
      entry = recipe.teachers.get(workdir.name)
      if not entry or not entry.config:
        continue
      spec, recipe = f'{spec}, teacher {workdir.name}', entry.config
    return spec, differences(recipe, config, workdir)
  return '', []


def is_teacher(workdir: pathlib.Path) -> bool:
  """Whether a run is a teacher that another run trained on its way."""
  folder = workdir.parent
  return folder.name == TEACHERS and (folder.parent / 'config.json').is_file()


def _recipes(command: str, config: ConfigDict, read_files: bool) -> list[str]:
  """Where the recipe may be, most exact first."""
  found = []
  with contextlib.suppress(ValueError):
    given = iter(shlex.split(command))
    for word in given:
      if word.startswith(('--config=', '-config=')):
        found.append(word.partition('=')[2])
      elif word in ('--config', '-config'):
        found.append(next(given, ''))
  if not read_files:
    found = [spec for spec in found if spec.partition(':')[0] in configs.own()]
  name = config.method.name
  return [*found, f'{name}:{config.data.name}', name]


def differences(recipe: ConfigDict, config: ConfigDict, workdir: pathlib.Path) -> Changes:
  """(key, value in the recipe, value here) of each key that differs.

  Places differ on every machine, and are no setting; a teacher from elsewhere in the place of
  one that the recipe trains is one.
  """
  was, now = (
    dict(configs.leaves(json.loads(made.to_json()))) for made in (recipe, config)
  )
  absent = object()
  changed = [
    key
    for key in dict.fromkeys([*was, *now])
    if was.get(key, absent) != now.get(key, absent)
    and (key.split('.')[-1] not in PLACES or _replaces(key, was, now, workdir))
  ]
  tell = lambda values, key: _value(values[key]) if key in values else 'none'
  found: Changes = []
  for key in changed:
    group = _one_sided(key, was, now)
    if not group:
      found.append((key, tell(was, key), tell(now, key)))
    elif all(known != group for known, *_ in found):
      # All keys of a column that only one of the two has would be as many lines.
      mine, theirs = (_name(values, group) for values in (was, now))
      found.append((group, mine, theirs))
  return found


def _one_sided(key: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
  """The member of an open group that a key is of, if one of the two configs lacks it."""
  for whole in OPEN:
    if key.startswith(f'{whole}.'):
      member = f'{whole}.{key.removeprefix(f"{whole}.").partition(".")[0]}'
      return '' if 'none' not in (_name(was, member), _name(now, member)) else member
  return ''


def _name(values: Mapping[str, Any], member: str) -> str:
  """What a member of an open group is called in its table; 'none' where it is not there."""
  if not any(key.startswith(f'{member}.') for key in values):
    return 'none'
  return _value(values.get(f'{member}.name') or 'there')


def _replaces(
  key: str, was: Mapping[str, Any], now: Mapping[str, Any], workdir: pathlib.Path
) -> bool:
  """Whether a place holds another network than the recipe's."""
  place, usual = now.get(key) or '', was.get(key) or ''
  if not place:
    return bool(usual)
  path = pathlib.PurePath(str(place))
  if not usual:
    # Its own folder of teachers is where the recipe's are.
    own = workdir.absolute() / TEACHERS
    return own not in pathlib.Path(str(place)).expanduser().absolute().parents
  return path.name != pathlib.PurePath(str(usual)).name


def _value(value: Any) -> str:
  if isinstance(value, list):
    return ', '.join(map(_value, value)) or 'empty'
  if isinstance(value, float):
    return f'{value:.6g}'
  return str(value) if value != '' else 'empty'
