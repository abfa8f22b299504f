"""Small experiments that tests share."""

import contextlib
import pathlib
import sys
import tempfile
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.attacks import L1, L2, Threat
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.prepare import prepare
from jaxrkd.methods import METHODS
from jaxrkd.models.named import named_network
from jaxrkd.runtime import sharding

# Options with which attacks of many steps take few.
QUICK: dict[str, dict[str, Any]] = {
  'apgd_ce': dict(steps=10),
  'apgd_dlr': dict(steps=10),
  'apgd_t': dict(steps=10, targets=2),
  'fab': dict(steps=5),
  'fab_t': dict(steps=5, targets=2),
  'deepfool': dict(steps=5),
  'ddn': dict(steps=8, length=0.5),
  'cw_l2': dict(steps=6, searches=2, weight=10.0, step_size=0.2),
  'square': dict(queries=40),
  'autoattack': dict(steps=5, queries=20),
}


# Attacks of one norm alone.
L2_ONLY = ('ddn', 'cw_l2')


def takes(name: str, threat: Threat) -> bool:
  """Whether an attack searches in balls of this norm."""
  if name == 'deepfool':
    return not isinstance(threat, L1)
  return name not in L2_ONLY or isinstance(threat, L2)


def kinds(method: str) -> list[str]:
  """Kinds of teachers that a method needs."""
  made = METHODS[method]()
  roles = {*made.teachers, *made.inner.teachers}
  return sorted({'robust' if role == 'all' else role for role in roles})


def config(method='mtard', teachers=True, **changes) -> ConfigDict:
  """A method on 8x8 synthetic images: seconds to compile, milliseconds a step.

  `teachers` may be a list of (name, kind); True takes those that the method needs. Keys of
  `changes` are dotted with '__': `data__train=40`.
  """
  made = configs.base()
  made.epochs = 2
  made.batch_size = 16
  made.data = dict(
    name='synthetic', train=72, test=24, size=8, channels=1, classes=3, heldout=16
  )
  # A third of what XLA would have to read; tests of whole programs and devices have it.
  made.augment.pad, made.augment.flip = 0, False
  made.student = dict(name='convnet', widths=(4,), strides=(2,))
  made.method.name = method
  made.threat.eps = 0.1
  made.attack = dict(name='pgd', steps=2, step_size=0.05, start='gauss')
  made.select.attack = dict(name='fgsm')
  made.evaluation.batch_size = 16
  made.evaluation.trust.images = 0
  made.evaluation.gallery.images = 0
  made.evaluation.attacks = dict(fgsm=dict(), cw_inf=dict(steps=4))
  made.log_every = 2
  if teachers is True:
    teachers = [(kind, kind) for kind in kinds(method)]
  made.teachers = {
    name: configs.teacher(config('natural', teachers=[]), kind=kind)
    for name, kind in teachers or []
  }
  own = METHODS[method]()
  if own.asks_average:
    made.ema.decay = 0.9
  if own.group == 'teachers':
    names = ('t1', 't2') if own.attacks_group else ('t1',)
    made.online = {name: dict(made.student) for name in names}
  for key, value in changes.items():
    node = made
    *groups, last = key.split('__')
    for group in groups:
      node = node[group]
    node[last] = value
  return made


def small_resnets(method: str, **changes) -> ConfigDict:
  """As `config`, with a ResNet-8 of width 4 wherever there is a network."""
  node = dict(name='resnet8', width=4)
  made = config(method, student=dict(node), stacking='loop', **changes)
  made.online = {name: dict(node) for name in made.online}
  for teacher in made.teachers.values():
    teacher.config.student = dict(node)
  return made


def overrides(**changes) -> list[str]:
  return [f'{key.replace("__", ".")}={value}' for key, value in changes.items()]


# For `config`, where images are to be moved as they usually are.
AUGMENTED = dict(augment__pad=1, augment__flip=True)


class Run:
  """A run held in memory: set up, with untrained teachers, stepped by hand."""

  def __init__(self, made: ConfigDict, devices: int = 1):
    self.config = experiment.resolve(made)
    self.mesh = sharding.data_mesh(jax.devices()[:devices], self.config.mesh.fsdp)
    self.data = experiment.dataset(self.config)
    everywhere = sharding.replicated(self.mesh)
    self.nets, variables = {}, {}
    for number, name in enumerate(self.config.teachers):
      net = named_network(
        self.config.teachers[name].config.student,
        self.data.classes,
        self.data.image_shape,
        self.config.precision,
      )
      self.nets[name] = net
      init = jax.jit(net.init, out_shardings=everywhere)
      variables[name] = init(jax.random.key(100 + number))
    self.setup = prepare(self.config, self.data, self.nets, self.mesh)
    self.teachers = self.setup.join_teachers(variables)
    self.images = self.setup.device_data()

  def steps(self, state, count):
    """Returns the state after `count` steps and the scalars of each."""
    rows = []
    for _ in range(count):
      epoch = int(state.step) // self.setup.steps_per_epoch
      order = self.setup.order(jax.numpy.int32(epoch))
      state, scalars = self.setup.step(state, self.teachers, self.images, order)
      rows.append({name: float(value) for name, value in scalars.items()})
    return state, rows


@contextlib.contextmanager
def compilations(event='/jax/core/compile/backend_compile_duration'):
  """A list of what XLA is asked to compile while it is open.

  `event` is a part of jax's name for it: '/compile/' is also of what is traced.
  """
  events = []
  listen = lambda name, *_, **__: events.append(name) if event in name else None
  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    yield events
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)


def folder(test) -> pathlib.Path:
  """A fresh folder that goes away with the test."""
  return pathlib.Path(test.enterContext(temporary_folder()))


@contextlib.contextmanager
def modules(**given):
  """Modules by name in the place of packages; None for one that is not installed.

  `mock.patch.dict` would also forget what is imported meanwhile, and PyTorch cannot be
  imported twice.
  """
  absent = object()
  before = {name: sys.modules.get(name, absent) for name in given}
  sys.modules.update(given)
  try:
    yield
  finally:
    for name, module in before.items():
      if module is absent:
        del sys.modules[name]
      else:
        sys.modules[name] = module


def temporary_folder():
  """The same, to be entered by a class of tests."""
  return tempfile.TemporaryDirectory()
