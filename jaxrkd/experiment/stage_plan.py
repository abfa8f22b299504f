"""The stages of an experiment and about how much arithmetic each has, for the time left."""

import functools
import json

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxrkd.attacks import cascade
from jaxrkd.data import Dataset
from jaxrkd.experiment import make
from jaxrkd.models.named import named_network
from jaxrkd.runtime.stages import Stage
from jaxrkd.train.flops import count_flops

# Passes through a network, in units of a forward one.
GRADIENT, UPDATE = 2, 3


def stages(config: ConfigDict, data: Dataset, title: str = 'student') -> list[Stage]:
  """What an experiment does, one after the other, whether it is done already or not.

  Args:
    config: resolved.
    data: all splits.
    title: what the network is called.
  """
  found = []
  for name, entry in config.teachers.items():
    if not entry.workdir and not entry.file:
      found += stages(entry.config, data, f'teacher {name}')
  runs = max(len(config.seeds), 1)
  names = [title]
  if config.seeds:
    names = [f'{title}, seed {seed}' for seed in config.seeds]
  work = functools.partial(_training, config, data)
  if config.members > 1:
    for number in range(config.members):
      found += [
        Stage(f'training {title} {number}', work),
        Stage(f'measuring {title} {number}', functools.partial(_measuring, config, data)),
      ]
  else:
    found.append(Stage(f'training {title}', lambda: runs * work()))
  found += [
    Stage(f'measuring {name}', functools.partial(_measuring, config, data))
    for name in names
  ]
  return found


def _training(config: ConfigDict, data: Dataset) -> float:
  """FLOP of a training: attack, update, teachers on clean and on attacked images."""
  method = make.method(config)
  own = _forward(config.student, data)
  per_image = UPDATE * own
  if method.inner.prepare is not None:
    per_image += own * (GRADIENT * config.attack.get('steps', 1) + UPDATE)
  for entry in config.teachers.values():
    if entry.config:
      per_image += 2 * _forward(entry.config.student, data)
  for node in config.online.values():
    per_image += 2 * UPDATE * _forward(node, data)
  return float(per_image * len(data.train) * config.epochs)


def _measuring(config: ConfigDict, data: Dataset) -> float:
  """FLOP of the attacks of the table on the best and the last network."""
  part = config.evaluation
  images = part.images or len(getattr(data, part.split))
  steps = sum(
    attack.steps * attack.runs_on(data.classes)
    for column in make.evaluation_attacks(config).values()
    for _, attack in cascade(column, 'attack').attacks
  )
  return float(2 * GRADIENT * steps * images * _forward(config.student, data))


def _forward(node: ConfigDict, data: Dataset) -> int:
  return _forward_of(json.dumps(node.to_dict()), data.classes, tuple(data.image_shape))


@functools.lru_cache(maxsize=64)
def _forward_of(request: str, classes: int, shape: tuple[int, ...]) -> int:
  """FLOP of one image going through a network."""
  net = named_network(ConfigDict(json.loads(request)), classes, shape, 'float32')
  variables = jax.eval_shape(net.init, jax.random.key(0))
  image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  return count_flops(lambda given, x: net.logits_fn(*given)(x), variables, image)
