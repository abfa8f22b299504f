"""A study at the size of its paper, or smaller: networks, data and epochs, as one rule.

The papers' experiments take GPU-years. `small` keeps what is compared (methods, inner
problems, roles of teachers, early stopping at a share of the epochs) and shrinks everything
else; `smoke` only shows that every stage works.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from jaxrkd.models.named import NETWORK_KEYS

Node = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Scale:
  """How a config shrinks.

  Attributes:
    says: what its numbers are, one sentence.
    epochs: of every training; 0 keeps those of the paper. Epochs that a config names
      (milestones, early stopping, warm-up) keep their share of the training.
    batch_size: images per update; 0 keeps the paper's.
    data: what replaces the group `data`, besides `classes`; empty keeps it.
    train_limit: training images; 0 keeps all.
    test_limit: test images; 0 keeps all.
    student: what replaces students' networks, by name; '' is for all others.
    teacher: the same for teachers' networks, those trained along included.
    attacks: largest values of options of an attack, by its name; '' is for all attacks.
    seeds: how many of a protocol's; 0 takes all.
    changes: (key, the paper's value, the one here), where a config has the paper's.
    judges: whether its numbers say anything of what a paper claims.
  """

  says: str
  epochs: int = 0
  batch_size: int = 0
  data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  train_limit: int = 0
  test_limit: int = 0
  student: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
  teacher: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
  attacks: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
  seeds: int = 0
  changes: tuple[tuple[str, Any, Any], ...] = ()
  judges: bool = True


# Of made-up images that are held out, where any are.
HELD = 8
TINY: Node = dict(name='convnet', widths=(4,), strides=(2,))


def _convnet(width: int) -> Node:
  """Three convolutions that each halve an image: minutes on two CPU cores."""
  return dict(name='convnet', widths=(width, 2 * width, 4 * width), strides=(2, 2, 2))


# RSLAD weighs its divergence by 0.1, and ARD averages it over the ten classes: at that rate
# both need the papers' 100,000 updates.
QUICKER_LEARNING = (
  ('method.kl_scale', 0.1, 1.0),
  ('method.kl_reduction', 'element_mean', 'batch_mean'),
)
SCALES: dict[str, Scale] = {
  'paper': Scale('as printed: networks, data and epochs of the paper'),
  'small': Scale(
    'small networks, a part of CIFAR, few epochs, and divergences of weight 1 where the paper '
    'has 0.1 or the mean over classes: the differences to the paper say nothing about the '
    'paper; the order of the rows may',
    epochs=20,
    train_limit=10_000,
    test_limit=1_000,
    student={
      '': _convnet(16),
      'mobilenet_v2': _convnet(12),
      # Wide students are teachers' networks.
      **dict.fromkeys(('wrn_34_10', 'wrn_28_10', 'dm_wrn_28_10'), _convnet(32)),
    },
    teacher={
      '': _convnet(32),
      'resnet18': _convnet(16),
      'wrn_34_20': _convnet(40),
      'wrn_70_16': _convnet(48),
    },
    attacks={'autoattack': dict(queries=500), 'square': dict(queries=500)},
    changes=QUICKER_LEARNING,
  ),
  'smoke': Scale(
    'only whether every stage works: made-up images and networks that learn nothing',
    epochs=2,
    batch_size=16,
    data=dict(name='synthetic', train=48, test=16, size=8, channels=3, classes=10),
    student={'': TINY},
    teacher={'': TINY},
    attacks={
      # Fewer steps of 0.003 would not cross the ball.
      '': dict(steps=11, queries=10, restarts=1, targets=2),
      'autoattack': dict(steps=2),
    },
    seeds=1,
    changes=QUICKER_LEARNING,
    judges=False,
  ),
}


def scaled(config: Mapping[str, Any], scale: Scale) -> Node:
  """A resolved config, as `to_dict` gives it, at another size; its teachers, too."""
  found = {key: _copied(value) for key, value in config.items()}
  if scale.epochs:
    shorten(found, scale.epochs)
  for group, names in (
    ('attack', None),
    ('trajectories', 'attack'),
    ('select', 'attack'),
    ('evaluation', 'attacks'),
  ):
    _weaken(found[group], names, scale)
  if scale.batch_size:
    found['batch_size'] = min(found['batch_size'], scale.batch_size)
    found['evaluation']['batch_size'] = scale.batch_size
  _shrink_data(found['data'], scale)
  node = found['student']
  found['student'] = _network(node, scale.student)
  found['online'] = {
    name: _network(own, scale.teacher) for name, own in found['online'].items()
  }
  for key, paper, here in scale.changes:
    group, option = key.split('.')
    if found[group].get(option) == paper:
      found[group][option] = here
  found['teachers'] = {
    name: _teacher(entry, scale) for name, entry in found['teachers'].items()
  }
  return found


def _copied(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {key: _copied(inner) for key, inner in value.items()}
  return value


def _teacher(entry: Mapping[str, Any], scale: Scale) -> Node:
  found = dict(entry)
  if not entry['config']:
    return found
  own = entry['config']
  if scale.epochs and entry['epoch']:
    found['epoch'] = epoch_at(entry['epoch'], own['epochs'], scale.epochs)
  config = scaled(own, scale)
  config['student'] = _network(own['student'], scale.teacher)
  return {**found, 'config': config}


def epoch_at(epoch: int, whole: int, now: int) -> int:
  """The epoch that is the same share of a shorter training, 1 at least."""
  return min(max(round(epoch * now / whole), 1), now) if now < whole else epoch


# Keys that name an epoch, where they are above 0.
EPOCHS = (
  'method.begin',
  'swa.start',
  'igdm.ramp',
  'attack.ramp',
  'augment.late.epoch',
)


def shorten(config: Node, epochs: int) -> None:
  """Fewer epochs, and every epoch that the config names at the same share of them."""
  whole = config['epochs']
  if whole <= epochs:
    return
  at = lambda epoch: epoch_at(epoch, whole, epochs)
  config['epochs'] = epochs
  if config['schedule_len']:
    config['schedule_len'] = round(config['schedule_len'] * epochs / whole)
  config['keep_epochs'] = tuple(dict.fromkeys(map(at, config['keep_epochs'])))
  for group, name in (('select', 'every'), ('', 'checkpoint_every')):
    node = config[group] if group else config
    node[name] = min(max(round(node[name] * epochs / whole), 1), epochs)
  schedule = config['schedule']
  if 'milestones' in schedule:
    schedule['milestones'] = tuple(dict.fromkeys(map(at, schedule['milestones'])))
  if 'warmup_epochs' in schedule:
    schedule['warmup_epochs'] = schedule['warmup_epochs'] * epochs / whole
  if schedule['name'] == 'exponential':
    schedule['factor'] = schedule['factor'] ** (whole / epochs)
  for key in EPOCHS:
    *groups, name = key.split('.')
    node = functools.reduce(lambda node, group: node[group], groups, config)
    # 0 and less name no epoch.
    if node.get(name, 0) > 0:
      node[name] = at(node[name])
  late = config['augment']['late']
  if late['epoch'] == 1:
    # From the first epoch on it would be the only one, and of one epoch there is no late part.
    late.update(dict(epoch=2) if epochs > 1 else dict(epoch=0, preset=''))
  # Not before the first epoch where it begins later: that is what it is for.
  config['awp']['warmup'] = round(config['awp']['warmup'] * epochs / whole)


def _weaken(group: Node, names: str | None, scale: Scale) -> None:
  """Attacks of fewer steps, where the scale says so."""
  if names is None:
    rows = [group]
  else:
    rows = [group[names]] if 'name' in group[names] else list(group[names].values())
  for row in rows:
    limits = {**scale.attacks.get('', {}), **scale.attacks.get(row['name'], {})}
    for option, most in limits.items():
      # Searches of one step stay what they are; None stays what the attack takes.
      if isinstance(row.get(option), int) and row[option] > most:
        row[option] = most


def _shrink_data(data: Node, scale: Scale) -> None:
  if scale.data:
    chosen, held = data.get('classes'), min(data.get('heldout', 0), HELD)
    data.clear()
    data.update(heldout=held, train_limit=0, test_limit=0, **scale.data)
    if chosen and not isinstance(chosen, int):
      # Made-up images have as many classes, and no names.
      data['classes'] = len(chosen)
  for key in ('train_limit', 'test_limit'):
    most = getattr(scale, key)
    if most:
      data[key] = min(data[key] or most, most)


def _network(node: Mapping[str, Any], smaller: Mapping[str, Mapping[str, Any]]) -> Node:
  """Another network with what any network has: normalisation, BatchNorm."""
  if not smaller:
    return dict(node)
  kept = {key: node[key] for key in NETWORK_KEYS if key in node}
  chosen = smaller.get(node['name'], smaller[''])
  return {**kept, **{key: _copied(value) for key, value in chosen.items()}}
