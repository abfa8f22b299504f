"""From names to things: the only reader of config groups.

`resolve` fills in the options of every named row and refuses what no row takes; the other
functions build what a resolved config names.
"""

import copy
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxrkd import config as configs
from jaxrkd.attacks import ATTACKS, SEARCHES, THREATS, Attack, Search, Threat
from jaxrkd.data import SOURCES, Dataset, assemble, extra_images, with_extra
from jaxrkd.errors import InputError, choose, in_range, nearest, one_of
from jaxrkd.methods import INNERS, METHODS, Inner, Method
from jaxrkd.models import AVERAGES, NETWORKS, Net, from_nnx, normalized
from jaxrkd.models.ensemble import Average
from jaxrkd.models.layers import Layers
from jaxrkd.optimizers import SCHEDULES, Schedule, check_decay, sgd

Table = Mapping[str, Callable[..., Any]]

PRECISIONS = {'float32': None, 'bfloat16': jnp.bfloat16}
ATTACK_BN = ('eval', 'batch', 'train')
KINDS = ('clean', 'robust')
METRICS = ('weighted', 'robust', 'clean')
SPLITS = ('heldout', 'test')
# Arguments that the program supplies, not the config.
SUPPLIED = ('data_dir', 'epochs', 'steps_per_epoch')
NETWORK_KEYS = {'bn_variance': 'unbiased', 'bn_momentum': 0.9, 'mean': (), 'std': ()}
DATA_KEYS = {'heldout': 0, 'train_limit': 0, 'test_limit': 0}
# Evaluation attacks may leave the common threat set; eps 0 means they do not.
ATTACK_KEYS = {'eps': 0.0}


def _own() -> None:
  """The inner problem that a method brings itself."""


# The rows that `config.inner` may name.
PROBLEMS: Table = {'own': _own, **INNERS}


def options(row: Callable[..., Any]) -> dict[str, Any]:
  """The keyword arguments of a table's row and their defaults."""
  fixed = row.keywords if isinstance(row, functools.partial) else {}
  target = row.func if isinstance(row, functools.partial) else row
  if isinstance(target, type):
    # The metaclass of NNX modules hides the signature of the class itself.
    target = vars(target)['__init__']
  defaults = {
    name: parameter.default
    for name, parameter in inspect.signature(target).parameters.items()
    if parameter.default is not inspect.Parameter.empty and name not in SUPPLIED
  }
  return {**defaults, **fixed}


def _tables(config: Mapping[str, Any]) -> dict[str, tuple[Table, dict[str, Any]]]:
  """Dotted path of every named group -> (its table, keys it has beside the row's)."""
  found: dict[str, tuple[Table, dict[str, Any]]] = {
    'data': (SOURCES, DATA_KEYS),
    'student': (NETWORKS, NETWORK_KEYS),
    'method': (METHODS, {}),
    'inner': (PROBLEMS, {}),
    'ensemble': (dict.fromkeys(AVERAGES, _own), {}),
    'threat': (THREATS, {'eps': configs.EIGHT}),
    'attack': (SEARCHES, {'bn': 'eval'}),
    'schedule': (SCHEDULES, {}),
    'select.attack': (ATTACKS, ATTACK_KEYS),
    'evaluation.threat': (THREATS, {'eps': configs.EIGHT}),
  }
  for name in config.get('evaluation', {}).get('attacks', {}):
    found[f'evaluation.attacks.{name}'] = (ATTACKS, ATTACK_KEYS)
  return found


def resolve(given: ConfigDict, overrides: list[str] | None = None) -> ConfigDict:
  """Fills in every option, applies overrides and checks names.

  Args:
    given: from a config file.
    overrides: 'key=value' texts. Names come first: an override that picks another row
      replaces that group's options by the new row's defaults.

  Raises:
    InputError: an unknown key or name, or a value of the wrong type.
  """
  config = copy.deepcopy(given.to_dict())
  config.setdefault('teachers', {})
  pairs = [configs.split_override(text) for text in overrides or []]
  # Teachers that are trained on the way learn the data that the student learns.
  trained = [n for n, t in config['teachers'].items() if t.get('config')]
  pairs = [
    *(
      (f'teachers.{n}.config.{k}', v)
      for n in trained
      for k, v in pairs
      if k[:5] == 'data.'
    ),
    *pairs,
  ]
  # --config.method=trades is short for --config.method.name=trades.
  pairs = [(f'{k}.name', v) if _is_named(config, k) else (k, v) for k, v in pairs]
  names = [pair for pair in pairs if pair[0].split('.')[-1] == 'name']
  for key, value in names:
    _rename(config, key, value)
  resolved = ConfigDict(_complete(config, ''))
  for key, value in pairs:
    if (key, value) not in names:
      configs.set_leaf(resolved, key, value)
  check(resolved)
  return resolved.lock()


def _is_named(config: Mapping[str, Any], key: str) -> bool:
  """Whether `key` is a group that picks a row of a table."""
  *teacher, group = key.split('.config.')
  node: Any = config
  for name in teacher:
    node = (
      node.get('teachers', {}).get(name.removeprefix('teachers.'), {}).get('config', {})
    )
  return isinstance(node, Mapping) and group in _tables(node)


def _rename(config: dict[str, Any], key: str, value: str) -> None:
  *groups, last = key.split('.')
  parent: Any = config
  for group in groups[:-1]:
    parent = parent.get(group, {})
  if not groups or not isinstance(parent, dict) or groups[-1] not in parent:
    known = [name for name, _ in configs.leaves(config)]
    raise InputError(f'unknown config key {key!r}{nearest(key, known)}')
  old = parent[groups[-1]]
  if old.get('name', groups[-1]) == value:
    return
  # What does not depend on the row survives: held-out size, radius, BatchNorm mode.
  kept = {k: v for k, v in old.items() if k in (*DATA_KEYS, 'eps', 'bn')}
  parent[groups[-1]] = {**kept, last: value}


def _complete(given: Mapping[str, Any], where: str) -> dict[str, Any]:
  """Lays `given` over the defaults; `where` is a prefix for messages."""
  tables = _tables(given)
  base = configs.base().to_dict()
  open_groups = {'teachers', 'evaluation.attacks', *tables}

  def merge(defaults: dict[str, Any], values: Mapping[str, Any], path: str):
    result = dict(defaults)
    for key, value in values.items():
      full = f'{path}.{key}' if path else key
      if key not in defaults and path not in open_groups:
        known = [f'{path}.{k}' if path else k for k in defaults]
        raise InputError(
          f'unknown config key {where + full!r}{nearest(full, known)} '
          f'(known here: {", ".join(known)})'
        )
      if full in open_groups:
        result[key] = dict(value)
      elif isinstance(defaults.get(key), dict) and isinstance(value, Mapping):
        result[key] = merge(defaults[key], value, full)
      else:
        result[key] = value
    return result

  config = merge(base, given, '')
  for path, (table, extra) in tables.items():
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


def _named(
  node: Mapping[str, Any], key: str, table: Table, extra: dict[str, Any], path: str
) -> dict[str, Any]:
  """One named group with every option of its row."""
  name = node.get('name', key)
  allowed = {**extra, **options(choose(table, name, f'{path}.name'))}
  unknown = [k for k in node if k != 'name' and k not in allowed]
  if unknown:
    raise InputError(
      f'{name!r} has no option {path}.{unknown[0]}{nearest(unknown[0], allowed)} '
      f'(its options: {", ".join(allowed) or "none"})'
    )
  return {'name': name, **allowed, **node}


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
  epoch = entry.get('epoch', 0)
  if completed and epoch and epoch not in completed['keep_epochs']:
    completed['keep_epochs'] = (*completed['keep_epochs'], epoch)
  return {**allowed, **entry, 'config': completed}


def check(config: ConfigDict) -> None:
  """Builds everything that needs no data, so that mistakes surface before work starts."""
  _check_numbers(config)
  choose(PRECISIONS, config.precision, 'config.precision')
  one_of(config.attack.bn, ATTACK_BN, 'config.attack.bn')
  one_of(config.select.metric, METRICS, 'config.select.metric')
  one_of(config.select.split, SPLITS, 'config.select.split')
  one_of(config.evaluation.split, SPLITS, 'config.evaluation.split')
  one_of(config.label_smoothing.on, ('extra', 'all'), 'config.label_smoothing.on')
  for user in ('select', 'evaluation'):
    if config[user].split == 'heldout' and not config.data.heldout:
      raise InputError(
        f'config.{user}.split is heldout, but config.data.heldout is 0; hold some training '
        'images out, or use the test split'
      )
  smoothing = config.label_smoothing
  if smoothing.amount and smoothing.on == 'extra' and not config.extra.path:
    raise InputError(
      f'config.label_smoothing.amount is {smoothing.amount} on extra images, but '
      'config.extra.path names none; give a file, or label_smoothing.on=all'
    )
  if config.select.max_drop and config.select.metric == 'clean':
    raise InputError(
      f'config.select.max_drop is {config.select.max_drop}, but select.metric=clean '
      'measures no robust accuracy; choose weighted or robust'
    )
  if not config.evaluation.attacks:
    raise InputError(
      f'config.evaluation.attacks is empty; name at least one of {", ".join(ATTACKS)}'
    )
  check_decay(config.ema.decay)
  for name, entry in config.teachers.items():
    _check_teacher(config, name, entry)
  average(config)
  roles(config, method(config))
  search(config)
  evaluation_attacks(config)
  selection_attack(config)
  sgd(schedule(config, 1000), **config.optimizer.to_dict())


def _check_numbers(config: ConfigDict) -> None:
  for key in ('epochs', 'members', 'batch_size', 'checkpoint_every', 'log_every'):
    if config[key] < 1:
      raise InputError(f'config.{key} is {config[key]}; it must be at least 1')
  if config.select.every < 1:
    raise InputError(
      f'config.select.every is {config.select.every}; it must be at least 1'
    )
  for key in ('pad', 'cutout', 'cutmix'):
    in_range(config.augment[key], 0, float('inf'), f'config.augment.{key}')
  in_range(config.label_smoothing.amount, 0, 1, 'config.label_smoothing.amount')
  in_range(config.select.max_drop, 0, 1, 'config.select.max_drop')
  fraction = config.extra.real_fraction
  if config.extra.path and not 0 < fraction < 1:
    raise InputError(
      f'config.extra.real_fraction is {fraction}; it must be above 0 and below 1'
    )
  if config.schedule_len and config.schedule_len < config.epochs:
    raise InputError(
      f'config.schedule_len is {config.schedule_len}, shorter than the {config.epochs} '
      'epochs; give a longer schedule, or 0 for one as long as the training'
    )
  for epoch in config.keep_epochs:
    if not 1 <= epoch <= config.epochs:
      raise InputError(
        f'config.keep_epochs names epoch {epoch}, but the run has epochs 1 to '
        f'{config.epochs}'
      )


def _check_teacher(config: ConfigDict, name: str, entry: ConfigDict) -> None:
  where = f'config.teachers.{name}'
  one_of(entry.checkpoint, ('best', 'last'), f'{where}.checkpoint')
  one_of(entry.kind, KINDS, f'{where}.kind')
  in_range(entry.weight, 0, 1, f'{where}.weight')
  if not entry.workdir and not entry.config:
    raise InputError(
      f'{where} has neither a workdir nor a config; give --{where}.workdir=RUN or a '
      'config that trains it'
    )
  if not entry.config or entry.workdir:
    return
  changed = configs.differences(config.data.to_dict(), entry.config.data.to_dict())
  if changed:
    raise InputError(
      f'{where} would be trained on other data ({changed[0]}); give both the same data, '
      'or a workdir of a finished teacher'
    )
  if entry.epoch and not 1 <= entry.epoch <= entry.config.epochs:
    raise InputError(
      f'{where}.epoch is {entry.epoch}, but its config trains {entry.config.epochs} '
      'epochs; choose one of them, or 0 for its best checkpoint'
    )
  check(entry.config)


def dataset(config: ConfigDict, data_dir: str = '') -> Dataset:
  """Reads the data; the same request is read once per process."""
  data = _dataset(json.dumps(config.data.to_dict(), sort_keys=True), data_dir)
  if not config.extra.path:
    return data
  return with_extra(data, extra_images(config.extra.path), config.extra.path)


@functools.lru_cache(maxsize=4)
def _dataset(request: str, data_dir: str) -> Dataset:
  node = json.loads(request)
  name = node.pop('name')
  sizes = {key: node.pop(key) for key in DATA_KEYS}
  source = choose(SOURCES, name, 'data source')
  if 'data_dir' in inspect.signature(source).parameters:
    node['data_dir'] = data_dir
  train, test = source(**node)
  return assemble(name, train, test, **sizes)


def network(
  node: ConfigDict, classes: int, image_shape: tuple[int, ...], precision: str = 'float32'
) -> Net:
  """Builds the network that a `student` group names.

  The same request gives the same object, so that what was compiled for it is found again.
  """
  request = json.dumps(node.to_dict(), sort_keys=True)
  return _network(request, classes, tuple(image_shape), precision)


@functools.lru_cache(maxsize=64)
def _network(
  request: str, classes: int, image_shape: tuple[int, ...], precision: str
) -> Net:
  chosen = json.loads(request)
  row = choose(NETWORKS, chosen.pop('name'), 'network')
  bn_variance, bn_momentum, mean, std = (chosen.pop(key) for key in NETWORK_KEYS)
  dtype = PRECISIONS[precision]
  channels = image_shape[-1]

  def make(rngs):
    return row(Layers(rngs, dtype, bn_variance, bn_momentum), classes, channels, **chosen)

  net = from_nnx(make)
  if not mean and not std:
    return net
  if not len(mean) == len(std) == channels:
    raise InputError(
      f'student.mean has {len(mean)} and student.std {len(std)} values for images of '
      f'{channels} channels; give one per channel, or none'
    )
  return normalized(net, tuple(mean), tuple(std))


def method(config: ConfigDict) -> Method:
  """Builds the training method, with the inner problem that the config puts under it."""
  node = config.method.to_dict()
  made = choose(METHODS, node.pop('name'), 'method')(**node)
  node = config.inner.to_dict()
  problem: Inner | None = choose(PROBLEMS, node.pop('name'), 'inner problem')(**node)
  return made if problem is None else made._replace(inner=problem)


def average(config: ConfigDict) -> Average:
  """Builds the rule by which several networks answer together."""
  return choose(AVERAGES, config.ensemble.name, 'ensemble')


def roles(config: ConfigDict, made: Method) -> dict[str, dict[str, float]]:
  """Who plays which role: {role: {teacher's name: share}}.

  A role is 'all', a kind, or the name of one teacher.

  Raises:
    InputError: nobody plays a role, or the weights of those who do are not shares.
  """
  found = {
    role: _cast(config, role, made) for role in (*made.teachers, *made.inner.teachers)
  }
  return {role: _shares(config, role, names, found) for role, names in found.items()}


def _cast(config: ConfigDict, role: str, made: Method) -> list[str]:
  there = {name: entry.kind for name, entry in config.teachers.items()}
  if role in (*KINDS, 'all'):
    names = [name for name, kind in there.items() if role in (kind, 'all')]
  else:
    names = [name for name in there if name == role]
  if names:
    return names
  known = ', '.join(f'{name} (kind {kind})' for name, kind in there.items()) or 'none'
  what = {'all': 'at least one teacher'}.get(role, f'a {role} teacher')
  if role not in (*KINDS, 'all'):
    what = f'a teacher named {role!r}'
  user = f'method {config.method.name!r}'
  if role not in made.teachers and config.inner.name != 'own':
    user = f'inner problem {config.inner.name!r}'
  raise InputError(
    f'{user} needs {what}, but config.teachers has {known}; add one, or name another role '
    'or method'
  )


def _shares(
  config: ConfigDict, role: str, names: list[str], cast: Mapping[str, list[str]]
) -> dict[str, float]:
  weights = {name: config.teachers[name].weight for name in names}
  if not any(config.teachers[name].weight for name in config.teachers):
    return dict.fromkeys(names, 1 / len(names))
  total = sum(weights.values())
  # Part of a larger role keeps the proportions it has there.
  part = any(set(names) < set(others) for others in cast.values())
  if abs(total - 1) > 1e-6 and not (part and total > 0):
    listed = ', '.join(f'{name} {weight:g}' for name, weight in weights.items())
    raise InputError(
      f'the weights of the teachers that answer as {role!r} are {listed}: their sum is '
      f'{total:g} and must be 1; leave all of them 0 for equal shares'
    )
  return {name: weight / total for name, weight in weights.items() if weight}


def search(config: ConfigDict) -> Search:
  """Builds the search that training uses."""
  node = config.attack.to_dict()
  node.pop('bn')
  row = choose(SEARCHES, node.pop('name'), 'training attack')
  return row(_threat(config.threat), **node)


def _threat(node: ConfigDict, eps: float = 0.0) -> Threat:
  chosen = node.to_dict()
  row = choose(THREATS, chosen.pop('name'), 'threat set')
  return row(**{**chosen, **({'eps': eps} if eps else {})})


def _attack(node: ConfigDict, threat: ConfigDict) -> Attack:
  request = json.dumps(node.to_dict(), sort_keys=True)
  return _attack_in(request, _threat(threat, node.eps))


@functools.lru_cache(maxsize=64)
def _attack_in(request: str, threat: Threat) -> Attack:
  """The same request gives the same object: see `network`."""
  chosen = json.loads(request)
  del chosen['eps']
  return choose(ATTACKS, chosen.pop('name'), 'attack')(threat, **chosen)


def evaluation_attacks(config: ConfigDict) -> dict[str, Attack]:
  """Builds the attacks of the final measurement, by column."""
  part = config.evaluation
  return {name: _attack(node, part.threat) for name, node in part.attacks.items()}


def selection_attack(config: ConfigDict) -> Attack | None:
  """Builds the attack that chooses the best checkpoint; None if clean accuracy does."""
  if config.select.metric == 'clean':
    return None
  return _attack(config.select.attack, config.evaluation.threat)


def schedule(config: ConfigDict, steps_per_epoch: int) -> Schedule:
  """Builds the learning-rate schedule."""
  node = config.schedule.to_dict()
  row = choose(SCHEDULES, node.pop('name'), 'schedule')
  return row(config.schedule_len or config.epochs, steps_per_epoch, **node)
