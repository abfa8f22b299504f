"""What a resolved config names, built: data, networks, methods, attacks, schedules."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import optax
from ml_collections import ConfigDict

from jaxrkd.amalgamation import AMALGAMATIONS, AVERAGES, Amalgamation, Average
from jaxrkd.attacks import (
  ATTACKS,
  SEARCHES,
  THREATS,
  UNFORESEEN,
  AnyAttack,
  Search,
  Stepwise,
  Threat,
)
from jaxrkd.attacks.minimum_norm import minimum_norm_attack
from jaxrkd.attacks.ramp import Ramp
from jaxrkd.data import Dataset, assemble, extra_images, read_source, with_extra
from jaxrkd.errors import InputError, choose, whole_number
from jaxrkd.experiment.tables import PROBLEMS, data_keys
from jaxrkd.methods import METHODS, Inner, Method
from jaxrkd.methods.igdm import with_igdm
from jaxrkd.models import Net
from jaxrkd.models.named import named_network
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES, Schedule
from jaxrkd.rows import build
from jaxrkd.train.weight_perturbation import WeightPerturbation


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
  sizes = {key: node.pop(key) for key in data_keys({'name': name})}
  train, test = read_source(name, node, data_dir)
  return assemble(name, train, test, **sizes)


def method(config: ConfigDict) -> Method:
  """Builds the training method, with the inner problem that the config puts under it."""
  node = config.method.to_dict()
  made: Method = build(METHODS, node.pop('name'), 'method', Method, chosen=node)
  node = config.inner.to_dict()
  problem: Inner | None = build(
    PROBLEMS, node.pop('name'), 'inner problem', Inner | None, chosen=node
  )
  made = made if problem is None else made._replace(inner=problem)
  # Runs of older versions have no such key.
  more = config.get('igdm')
  return with_igdm(made, **more.to_dict()) if more and more.alpha else made


def weight_perturbation(config: ConfigDict) -> WeightPerturbation | None:
  """Builds what moves weights before their gradient is taken; None where it is off."""
  node = config.get('awp')
  made = WeightPerturbation(**node.to_dict()) if node else None
  return made if made and made.gamma else None


def group(
  config: ConfigDict, made: Method, classes: int, image_shape: tuple[int, ...]
) -> dict[str, Net]:
  """The networks that a method trains together, by name; see `Method.group`."""
  return {
    name: named_network(
      node, classes, image_shape, config.precision, config.get('remat', False)
    )
    for name, node in network_nodes(config, made).items()
    if made.group == 'students' or name != 'student'
  }


def network_nodes(config: ConfigDict, made: Method) -> dict[str, ConfigDict]:
  """The groups that name the networks of a run: its student or students, its teachers."""
  if made.group == 'students':
    return {f'student_{k + 1}': config.student for k in range(made.students)}
  online = dict(config.get('online', {}).items()) if made.group else {}
  return {'student': config.student, **online}


def average(config: ConfigDict) -> Average | Amalgamation:
  """Builds the rule by which several networks answer together."""
  node = config.ensemble.to_dict()
  name = node.pop('name')
  if name in AMALGAMATIONS:
    return AMALGAMATIONS[name](**node)
  return choose(AVERAGES, name, 'ensemble')


@contextlib.contextmanager
def _about(where: str) -> Iterator[None]:
  """Mistakes in here name the group of the config."""
  try:
    yield
  except InputError as error:
    if str(error).startswith('config.'):
      raise
    raise InputError(f'{where}: {error}') from error


def search(config: ConfigDict) -> Search | Ramp:
  """Builds the search that training uses, or how it grows."""
  node = config.attack.to_dict()
  node.pop('bn')
  ramp = node.pop('ramp', 0)
  threat = _threat(config.threat, where='config.threat')
  with _about('config.attack'):
    whole_number(ramp, -1, 'ramp')
    name = node.pop('name')
    made = build(SEARCHES, name, 'training attack', Search, [threat], node)
  if not ramp:
    return made

  def shared(share: Any) -> Search:
    own = {k: v for k, v in node.items() if k != 'step_size' or v is None}
    if node.get('step_size') is not None:
      own['step_size'] = share * node['step_size']
    ball = _threat(config.threat, share * threat.eps, 'config.threat')
    return build(SEARCHES, name, 'training attack', Search, [ball], own)

  return Ramp(shared, config.epochs if ramp < 0 else ramp)


def _threat(
  node: ConfigDict, eps: Any = None, where: str = 'config.evaluation.threat'
) -> Threat:
  chosen = node.to_dict()
  row = choose(THREATS, chosen.pop('name'), 'threat set')
  try:
    return row(**{**chosen, **({} if eps is None else {'eps': eps})})
  except InputError as error:
    raise InputError(f'{where} is {node.name}: {error}') from error


def _attack(node: ConfigDict, threat: ConfigDict, where: str) -> AnyAttack:
  chosen = {key: value for key, value in node.items() if key != 'surrogate'}
  request = json.dumps(chosen, sort_keys=True)
  ball = _threat(threat, node.eps or None)
  with _about(where):
    return _attack_in(request, ball)


@functools.lru_cache(maxsize=64)
def _attack_in(request: str, threat: Threat) -> AnyAttack:
  """The same request gives the same object: see `network`."""
  chosen = json.loads(request)
  name, eps = chosen.pop('name'), chosen.pop('eps')
  if name not in UNFORESEEN:
    return build(ATTACKS, name, 'attack', Callable, [threat], chosen)
  if eps:
    raise InputError(
      f'attack {name!r} has eps {eps:g}, but it does not search in a ball around the '
      'image; set its strength instead'
    )
  return build(UNFORESEEN, name, 'attack', Callable, chosen=chosen)


def evaluation_threat(config: ConfigDict) -> Threat:
  """Builds where images may move in the final measurement."""
  return _threat(config.evaluation.threat)


def evaluation_threats(config: ConfigDict) -> dict[str, Threat | None]:
  """Where images may move, by column; None for attacks without a ball."""
  part = config.evaluation
  return {
    name: None if node.name in UNFORESEEN else _threat(part.threat, node.eps or None)
    for name, node in part.attacks.items()
  }


def evaluation_attacks(config: ConfigDict) -> dict[str, AnyAttack]:
  """Builds the attacks of the final measurement, by column."""
  part = config.evaluation
  return {
    name: _attack(node, part.threat, f'config.evaluation.attacks.{name}')
    for name, node in part.attacks.items()
  }


def distance_attacks(config: ConfigDict) -> dict[str, Stepwise]:
  """Builds the attacks that measure distances, by name.

  Raises:
    InputError: no row, or one that does not look for the nearest image.
  """
  part, found = config.evaluation, {}
  for name in part.distances.attacks:
    where = 'config.evaluation.distances.attacks'
    with _about(where):
      if name in UNFORESEEN or name not in ATTACKS:
        minimum_norm_attack(None, name)
      made = _attack_in(json.dumps({'name': name, 'eps': 0}), _threat(part.threat))
      found[name] = minimum_norm_attack(made, name)
  return found


def selection_attack(config: ConfigDict) -> AnyAttack | None:
  """Builds the attack that chooses the best checkpoint; None if clean accuracy does."""
  if config.select.metric == 'clean':
    return None
  threat = config.evaluation.threat
  return _attack(config.select.attack, threat, 'config.select.attack')


def trajectory_search(config: ConfigDict) -> Search:
  """Builds the attack under which images are recorded after every epoch."""
  node = config.trajectories.attack.to_dict()
  threat = _threat(config.evaluation.threat, where='config.evaluation.threat')
  with _about('config.trajectories.attack'):
    return build(SEARCHES, node.pop('name'), 'attack', Search, [threat], node)


def optimizer(config: ConfigDict, rate: Schedule) -> optax.GradientTransformation:
  """Builds what moves the networks."""
  node = config.optimizer.to_dict()
  # Runs of older versions have no other than SGD.
  name, kind = node.pop('name', 'sgd'), optax.GradientTransformation
  return build(OPTIMIZERS, name, 'optimizer', kind, [rate], node)


def schedule(config: ConfigDict, steps_per_epoch: int) -> Schedule:
  """Builds the learning-rate schedule."""
  node = config.schedule.to_dict()
  epochs, name = config.schedule_len or config.epochs, node.pop('name')
  return build(SCHEDULES, name, 'schedule', Schedule, [epochs, steps_per_epoch], node)
