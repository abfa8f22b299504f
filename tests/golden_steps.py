"""One optimisation step in float64 on the images, draws and networks of the golden files."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from jaxrkd import optimizers as optim
from jaxrkd.attacks import Linf, Search, pgd_search
from jaxrkd.methods import METHODS, Method
from jaxrkd.models import AVERAGES, NETWORKS, from_nnx
from jaxrkd.models.layers import Layers
from jaxrkd.train.networks import make_networks
from jaxrkd.train.state import NetState, Optimizers, TrainState
from jaxrkd.train.step import make_update
from jaxrkd.train.teachers import freeze_teachers
from jaxrkd.train.weight_perturbation import WeightPerturbation

DATA = pathlib.Path(__file__).parent / 'data' / 'golden_train_steps.npz'
EIGHT = 8 / 255
ROBUST, CLEAN = {'robust': {'robust': 1.0}}, {'clean': {'clean': 1.0}}
BOTH = {**CLEAN, **ROBUST}
ELEMENT = dict(kl_reduction='element_mean', kl_scale=1.0)


class Case(NamedTuple):
  """How an entry of the file was computed.

  Attributes:
    method: row of the table.
    options: of the row.
    roles: of the teachers, which are named as their arrays in the file.
    start: of the attack: 'gauss', 'uniform' or 'uniform_noclamp'.
    bn: BatchNorm in the attack.
    eps: radius.
    steps: of the attack.
    step_size: of the attack.
    updates: of the student.
    wrap: puts something around the method.
    awp: perturbation of the weights.
    epoch: from 0, of how many.
    epochs: see `epoch`.
    memory: archive -> the method's memory, if it is not the initial one.
    student: whose arrays it starts from.
    online: (name, whose arrays it starts from) of a network that is trained along.
  """

  method: str
  options: dict[str, Any] = {}
  roles: dict[str, dict[str, float]] = {}
  start: str = 'gauss'
  bn: str = 'eval'
  eps: float = EIGHT
  steps: int = 10
  step_size: float = 2 / 255
  updates: int = 1
  wrap: Callable[[Method], Method] | None = None
  awp: WeightPerturbation | None = None
  epoch: int = 0
  epochs: int = 0
  memory: Callable[[Any], Any] | None = None
  student: str = 'student'
  online: tuple[str, str] | None = None


def network():
  return from_nnx(lambda rngs: NETWORKS['resnet8'](Layers(rngs), classes=10, channels=3))


def variables(archive, prefix):
  """The arrays of a PyTorch network as (params, stats)."""
  params, stats = {}, {}
  for key in archive:
    if not key.startswith(prefix + '/'):
      continue
    name = key[len(prefix) + 1 :].replace('shortcut', 'downsample')
    *path, leaf = name.replace('linear', 'fc').split('.')
    value = archive[key].astype(np.float64)
    if value.ndim == 4:
      value, leaf = value.transpose(2, 3, 1, 0), 'kernel'
    elif value.ndim == 2:
      value, leaf = value.T, 'kernel'
    elif leaf == 'weight':
      leaf = 'scale'
    target = stats if leaf.startswith('running') else params
    for part in path:
      target = target.setdefault(part, {})
    target[leaf.removeprefix('running_')] = jnp.asarray(value)
  return params, stats


def load():
  """The first file."""
  with np.load(DATA) as archive:
    found = {name: archive[name] for name in archive.files}
  # Attacks that several methods share are stored once.
  return {**found, **{name: found[other] for name, other in found.pop('same')}}


class GoldenCase(parameterized.TestCase):
  """Steps of cases; `archive` holds the arrays of the files."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.archive = load()

  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))

  def batch(self):
    images = self.archive['images'].astype(np.float64).transpose(0, 2, 3, 1)
    return {
      'image': jnp.asarray(images),
      'label': jnp.asarray(self.archive['labels'].astype(np.int32)),
      'key': jax.random.split(jax.random.key(0), len(images)),
    }

  def start(self, kind, eps):
    normal = self.archive['noise_normal'].astype(np.float64).transpose(0, 2, 3, 1)
    spread = self.archive['noise_uniform'].astype(np.float64).transpose(0, 2, 3, 1)

    def first(threat, keys, clean):
      del threat, keys
      if kind == 'gauss':
        return clean + 0.001 * normal
      moved = clean + eps * spread
      return jnp.clip(moved, 0, 1) if kind == 'uniform' else moved

    return first

  def steps(self, case):
    """Returns (state, scalars of each update, first adversarial images)."""
    method = METHODS[case.method](**case.options)
    method = case.wrap(method) if case.wrap else method
    search = pgd_search(
      Linf(case.eps),
      steps=case.steps,
      step_size=case.step_size,
      start=self.start(case.start, case.eps),
    )
    made = []

    def recording(keys, objective, clean, carry):
      found = search.climb(keys, objective, clean, carry)
      keep = lambda x: made.append(np.asarray(x))
      jax.debug.callback(keep, found.images, ordered=True)
      return found

    schedule = optim.SCHEDULES['milestones'](300, 391, peak=0.1, milestones=(215,))
    optimizers = Optimizers(
      optim.sgd(schedule, momentum=0.9, weight_decay=2e-4),
      optim.weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
      rate=lambda step: schedule.rate(step) / schedule.peak,
    )
    net = network()
    names = sorted({name for shares in case.roles.values() for name in shares})
    frozen = freeze_teachers(
      dict.fromkeys(names, net), case.roles, AVERAGES['probabilities']
    )
    online = dict([case.online] if case.online else [])
    networks = make_networks(net, method.group, dict.fromkeys(online, net))
    joined = frozen.join({name: variables(self.archive, name) for name in names})
    update = jax.jit(
      make_update(
        networks,
        frozen,
        method,
        Search(recording),
        optimizers,
        attack_bn=case.bn,
        epochs=case.epochs,
        awp=case.awp,
      )
    )
    nets = {}
    for name, arrays in {'student': case.student, **online}.items():
      params, stats = variables(self.archive, arrays)
      nets[name] = NetState(params, stats, optimizers.student.init(params), {})
    own = method.init(optimizers.weights, classes=10)
    memory = own.memory
    if case.memory:
      given = case.memory(self.archive)
      memory = memory._replace(own=given) if method.sums else given
    if method.sums:
      memory = memory._replace(epoch=jnp.asarray(case.epoch, jnp.int32))
    state = TrainState(
      step=jnp.asarray(case.epoch, jnp.int32),
      key=jax.random.key(0),
      nets=nets,
      weights=own.weights,
      weights_opt=own.weights_opt,
      memory=jax.tree.map(_doubled, memory),
    )
    metrics = []
    for _ in range(case.updates):
      state, found = update(state, joined, self.batch())
      metrics.append({key: float(value) for key, value in found.items()})
    jax.effects_barrier()
    return state, metrics, made[0]

  def assert_after(self, net, prefix, but=()):
    """A network's parameters and statistics are those of the file, which may lack some."""
    expected = variables(self.archive, prefix)
    for got, want in zip((net.params, net.stats), expected, strict=True):
      found = {
        _name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(got)
      }
      there = {
        _name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(want)
      }
      lacking = {name for name in found if name not in there}
      self.assertEqual(lacking, {name for name in found if name in but})
      for name, value in there.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)

  def assert_part_after(self, net, prefix):
    """As `assert_after` for what the file has of a network."""
    expected = variables(self.archive, prefix)
    for got, want in zip((net.params, net.stats), expected, strict=True):
      found = {
        _name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(got)
      }
      for path, value in jax.tree_util.tree_leaves_with_path(want):
        name = _name(path)
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)


def _name(path):
  return '.'.join(str(getattr(key, 'key', key)) for key in path)


def _doubled(leaf):
  return leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf
