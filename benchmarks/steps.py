"""Compiled training steps of jaxrkd on random data, for the programs in this folder."""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.data import Dataset
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.prepare import prepare
from jaxrkd.models import Net
from jaxrkd.models.named import named_network
from jaxrkd.runtime import sharding
from jaxrkd.train.flops import count_flops
from jaxrkd.train.setup import Setup

CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'
# What the papers learn from, and what is small enough for a CPU.
TEACHERS = {
  'paper': {
    'cifar10': {'clean': 'resnet56', 'robust': 'wrn_34_10'},
    'cifar100': {'clean': 'wrn_22_6', 'robust': 'wrn_70_16'},
  },
  'small': {
    data: {'clean': 'resnet56', 'robust': 'wrn_16_4'} for data in ('cifar10', 'cifar100')
  },
}
CLASSES = {'cifar10': 10, 'cifar100': 100}


class Step(NamedTuple):
  """A step that is ready to run.

  Attributes:
    setup: of the run.
    arguments: of `setup.step`; the state is donated.
    flops: of one step, as `count_flops` has them.
  """

  setup: Setup
  arguments: list[Any]
  flops: int

  def many(self, count: int) -> float:
    """Does some steps and waits once, as training does."""
    for _ in range(count):
      self.arguments[0], scalars = self.setup.step(*self.arguments)
    return float(scalars['loss'])


def teacher_networks(teachers: str, data: str) -> dict[str, str]:
  """Kind -> name of a network."""
  return TEACHERS[teachers][data]


def config_of(
  method: str,
  data: str,
  student: str,
  teachers: str,
  batch: int,
  precision: str,
  overrides: Sequence[str] = (),
) -> ConfigDict:
  """The config of a paper's experiment on made-up images of the size of CIFAR's."""
  config = configs.load(CONFIGS / f'{method}.py', data)
  with config.unlocked():
    config.data = dict(
      name='synthetic', train=max(4 * batch, 64), test=64, classes=CLASSES[data]
    )
    config.student = dict(name=student)
    for entry in config.teachers.values():
      name = teacher_networks(teachers, data)[entry.kind]
      options = dict(name=name)
      if name == 'wrn_16_4':
        options = dict(name='wrn', depth=16, width=4)
      entry.config.student = options
      entry.config.data = config.data
    if teachers != 'paper':
      # The papers' own, three WRN-34-10, are too large for a CPU.
      for name in config.online:
        config.online[name] = dict(config.student)
    config.batch_size = batch
    config.precision = precision
  return experiment.resolve(config, list(overrides))


def arguments(usage: str, teachers: str) -> argparse.ArgumentParser:
  """Of a program about one step: what `experiment_of` reads."""
  parser = argparse.ArgumentParser(description=usage.splitlines()[0])
  parser.add_argument('--method', default='mtard')
  parser.add_argument('--student', default='resnet18')
  parser.add_argument('--data', default='cifar10', choices=tuple(CLASSES))
  parser.add_argument('--teachers', default=teachers, choices=tuple(TEACHERS))
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--precision', default='bfloat16')
  return parser


def experiment_of(
  options: argparse.Namespace, overrides: Sequence[str] = ()
) -> ConfigDict:
  """The experiment of `arguments`."""
  names = ('method', 'data', 'student', 'teachers', 'batch', 'precision')
  return config_of(*(getattr(options, name) for name in names), overrides)


def teachers_of(config: ConfigDict, data: Dataset) -> dict[str, Net]:
  """The networks of a config's teachers, by name."""
  shape = data.classes, data.image_shape, config.precision
  return {
    name: named_network(entry.config.student, *shape)
    for name, entry in config.teachers.items()
  }


def make_step(
  config: ConfigDict, seed: int = 0, mesh: jax.sharding.Mesh | None = None
) -> Step:
  """The step of an experiment whose teachers are untrained."""
  mesh = mesh or sharding.data_mesh(fsdp=config.mesh.fsdp)
  data = experiment.dataset(config)
  nets, variables = teachers_of(config, data), {}
  for number, (name, net) in enumerate(nets.items()):
    init = jax.jit(net.init, out_shardings=sharding.replicated(mesh))
    variables[name] = init(jax.random.key(seed + number))
  setup = prepare(config, data, nets, mesh)
  arguments = [
    setup.init(),
    setup.join_teachers(variables),
    setup.device_data(),
    setup.order(jnp.int32(0)),
  ]
  return Step(setup, arguments, count_flops(setup.train_step, *arguments))


def described(config: ConfigDict, mesh: jax.sharding.Mesh) -> tuple[Setup, list[Any]]:
  """(a run, its step's arguments as shapes that lie as in a run): nothing is computed."""
  data = experiment.dataset(config)
  nets = teachers_of(config, data)
  first = lambda net: jax.eval_shape(net.init, jax.random.key(0))
  variables = {name: first(net) for name, net in nets.items()}
  setup = prepare(config, data, nets, mesh)

  def placed(leaf, place):
    return jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(leaf.dtype), sharding=place)

  teachers = jax.eval_shape(setup.join_teachers, variables)
  order = jax.eval_shape(setup.order, jnp.int32(0))
  everywhere = sharding.replicated(mesh)
  return setup, [
    setup.learner.like,
    jax.tree.map(placed, teachers, sharding.spread(mesh, teachers)),
    {name: placed(leaf, everywhere) for name, leaf in data.train.arrays().items()},
    placed(order, sharding.rows(mesh, 1)),
  ]
