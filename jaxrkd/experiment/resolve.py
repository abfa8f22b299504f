"""A config from a file, completed: every option filled in, overrides applied, all checked."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError, nearest
from jaxrkd.experiment import augmentation
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.check import check
from jaxrkd.experiment.places import absolute_paths
from jaxrkd.experiment.tables import (
  CLIMBERS,
  SUPPLIED,
  USUAL_ROWS,
  Table,
  data_keys,
  options,
  tables,
)
from jaxrkd.experiment.threats import with_measurement
from jaxrkd.interop.public_files import public_file
from jaxrkd.rows import completed


def resolve(
  given: ConfigDict, overrides: list[str] | None = None, *, past: bool = False
) -> ConfigDict:
  """Fills in every option, applies overrides, checks names and makes paths absolute.

  Args:
    given: from a config file.
    overrides: 'key=value' texts. Names come first: an override that picks another row
      replaces that group's options by the new row's defaults.
    past: of a run that was trained already: its attacks are not judged any more.

  Raises:
    InputError: an unknown key or name, or a value of the wrong type.
  """
  config = copy.deepcopy(given.to_dict())
  config.setdefault('teachers', {})
  config.setdefault('online', {})
  pairs = [configs.split_override(text) for text in overrides or []]
  pairs = [each for pair in pairs for each in _public(pair)]
  for entry in config['teachers'].values():
    if isinstance(entry, dict) and entry.get('name'):
      name = entry.pop('name')
      entry |= {'file': str(public_file(name)), 'recipe': name}
  _add_teachers(config['teachers'], pairs)
  # Teachers that are trained on the way learn the data that the student learns.
  trained = [n for n, t in config['teachers'].items() if t.get('config')]
  pairs = [
    *(
      (f'teachers.{n}.config.{k}', v)
      for n in trained
      for k, v in pairs
      if k.split('.')[0] == 'data'
    ),
    *pairs,
  ]
  # --config.method=trades is short for --config.method.name=trades.
  pairs = [(f'{k}.name', v) if _is_named(config, k) else (k, v) for k, v in pairs]
  pairs = with_measurement(config, pairs)
  names = [pair for pair in pairs if pair[0].split('.')[-1] == 'name']
  for key, value in names:
    _rename(config, key, value)
  whole = _complete(config, '')
  if pairs:
    whole = _overridden(whole, pairs, names)
  absolute_paths(whole)
  resolved = ConfigDict(whole)
  for entry in resolved.teachers.values():
    _keep_epoch(entry)
  check(resolved, past)
  return resolved.lock()


def _overridden(
  config: dict[str, Any],
  pairs: list[tuple[str, str]],
  names: list[tuple[str, str]],
) -> dict[str, Any]:
  """With the values of `pairs`, but for `names`, which are there already."""
  resolved = ConfigDict(config)
  presets = [pair for pair in pairs if pair[0].split('.')[-2:] == ['augment', 'preset']]
  for key, value in presets:
    # In the place of the config file's keys; overrides of single keys come after it.
    group = configs.leaf(resolved, key.removesuffix('.preset'))
    group.update(augmentation.named(value, f'config.{key}'))
  for key, value in pairs:
    if (key, value) not in (*names, *presets):
      configs.set_leaf(resolved, key, value)
  return resolved.to_dict()


def _public(pair: tuple[str, str]) -> list[tuple[str, str]]:
  """`teachers.NAME.name=RECIPE` as the file and the recipe that it is short for."""
  key, value = pair
  parts = key.split('.')
  if len(parts) != 3 or parts[::2] != ['teachers', 'name'] or not value:
    return [pair]
  stem = key.removesuffix('.name')
  return [(f'{stem}.file', str(public_file(value))), (f'{stem}.recipe', value)]


def _add_teachers(teachers: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
  """`teachers.NAME.workdir=RUN` or `.file=FILE` adds a teacher where there is none yet.

  Raises:
    InputError: an override of how a teacher is trained that comes from a finished run.
  """
  given = {}
  for key, value in pairs:
    parts = key.split('.')
    if len(parts) == 3 and parts[0] == 'teachers' and value:
      if parts[2] == 'workdir':
        given[parts[1]] = value
      if parts[2] in ('workdir', 'file'):
        teachers.setdefault(parts[1], {})
  for key, _ in pairs:
    parts = key.split('.')
    if len(parts) > 3 and parts[:3:2] == ['teachers', 'config'] and parts[1] in given:
      raise InputError(
        f'config.{key} would train a teacher that comes from {given[parts[1]]!r}; give '
        'its workdir or its config, not both'
      )


def _is_named(config: Mapping[str, Any], key: str) -> bool:
  """Whether `key` is a group that picks a row of a table, or a new one of an open group."""
  if _is_open(key.split('.')[:-1]):
    return True
  *teacher, group = key.split('.config.')
  node: Any = config
  for name in teacher:
    node = (
      node.get('teachers', {}).get(name.removeprefix('teachers.'), {}).get('config', {})
    )
  return isinstance(node, Mapping) and group in tables(node)


def _is_open(groups: list[str]) -> bool:
  """Whether rows of any name may be added to a group: columns, online teachers."""
  return groups[-2:] == ['evaluation', 'attacks'] or groups[-1:] == ['online']


def _rename(config: dict[str, Any], key: str, value: str) -> None:
  *groups, last = key.split('.')
  parent: Any = config
  for group in groups[:-1]:
    parent = parent.get(group, {})
  if _is_open(groups[:-1]):
    # A column, or an online teacher, of any name.
    parent.setdefault(groups[-1], {})
  if not groups or not isinstance(parent, dict) or groups[-1] not in parent:
    known = [name for name, _ in configs.leaves(config)]
    raise InputError(f'unknown config key {key!r}{configs.meant(key, known)}')
  old = parent[groups[-1]]
  if old.get('name', groups[-1]) == value:
    return
  # What does not depend on the row survives: held-out size, radius, BatchNorm mode.
  also = ('eps', 'bn', 'ramp')
  kept = {k: v for k, v in old.items() if k in (*_kept_of_data(old, value), *also)}
  if {old.get('name'), value} <= set(CLIMBERS):
    # Options of the same meaning: another way to climb keeps how far.
    kept |= {k: old[k] for k in ('steps', 'step_size', 'start') if k in old}
  parent[groups[-1]] = {**kept, last: value}


def _kept_of_data(old: Mapping[str, Any], value: str) -> set[str]:
  """What another source of data keeps: keys that are options of neither of the two."""
  return set(data_keys(old)) & set(data_keys({'name': value}))


def _complete(given: Mapping[str, Any], where: str) -> dict[str, Any]:
  """Lays `given` over the defaults; `where` is a prefix for messages."""
  if isinstance(given.get('augment'), Mapping):
    spelled = augmentation.spelled_out(given['augment'], f'config.{where}augment')
    given = {**given, 'augment': spelled}
  named = tables(given)
  base = configs.base_values()
  open_groups = {'teachers', 'online', 'evaluation.attacks', 'expected', *named}

  def merge(defaults: dict[str, Any], values: Mapping[str, Any], path: str):
    result = dict(defaults)
    for key, value in values.items():
      full = f'{path}.{key}' if path else key
      if key not in defaults and path not in open_groups:
        known = [f'{path}.{k}' if path else k for k in defaults]
        hint = configs.meant(full, [*known, *_usual_keys(base, named)])
        raise InputError(
          f'unknown config key {where + full!r}{hint} (known here: {", ".join(known)})'
        )
      if full in open_groups:
        result[key] = dict(value)
      elif isinstance(defaults.get(key), dict) and isinstance(value, Mapping):
        result[key] = merge(defaults[key], value, full)
      else:
        result[key] = value
    return result

  config = merge(base, given, '')
  for path, (table, extra) in named.items():
    *groups, last = path.split('.')
    node = config
    for group in groups:
      node = node[group]
    node[last] = _named(node.get(last, {}), last, table, extra, where + path)
  config['teachers'] = {
    name: _teacher(entry, f'{where}teachers.{name}')
    for name, entry in config['teachers'].items()
  }
  return config


def _usual_keys(
  base: Mapping[str, Any], named: Mapping[str, tuple[Table, dict[str, Any]]]
) -> list[str]:
  """The keys of a config that names nothing else than `base` does."""
  found = dict(configs.leaves(base))
  for path, (table, extra) in named.items():
    row = table.get(found.get(f'{path}.name', ''))
    found |= {f'{path}.{key}': None for key in (*extra, *(options(row) if row else ()))}
  return list(found)


def _named(
  node: Mapping[str, Any], key: str, table: Table, extra: dict[str, Any], path: str
) -> dict[str, Any]:
  """One named group with every option of its row."""

  def hint(option: str, allowed: Collection[str]) -> str:
    # What others call it may stand in another group, such as an optimiser's rate.
    elsewhere = [name for name, _ in configs.leaves(configs.base_values())]
    return nearest(option, allowed) or configs.meant(
      option, [*elsewhere, 'schedule.peak']
    )

  usual = USUAL_ROWS.get(key, key)
  return completed(node, table, extra, path, usual, SUPPLIED, hint)


def _teacher(entry: Mapping[str, Any], path: str) -> dict[str, Any]:
  allowed = configs.teacher()
  for key in entry:
    if key not in allowed:
      raise InputError(
        f'unknown config key {path + "." + key!r}{nearest(key, allowed)} '
        f'(known here: {", ".join(allowed)})'
      )
  nested = dict(entry.get('config') or {})
  completed = _complete(nested, f'{path}.config.') if nested else {}
  return {**allowed, **entry, 'config': completed}


def _keep_epoch(entry: ConfigDict) -> None:
  """Has the training of a teacher keep the epoch that it will be taken from."""
  if entry.config and entry.epoch and entry.epoch not in entry.config.keep_epochs:
    entry.config.keep_epochs = (*entry.config.keep_epochs, entry.epoch)
  for teacher in entry.config.get('teachers', {}).values():
    _keep_epoch(teacher)
