"""One optimisation step of each method against numbers of the authors' own code.

`data/golden_train_steps.npz` holds a ResNet-8, teachers, a batch and random draws, and
what the methods' public PyTorch programs made of them in float64.
"""

import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd import optimizers as optim
from jaxrkd.attacks import Linf, Search, pgd_search
from jaxrkd.methods import METHODS
from jaxrkd.models import AVERAGES, NETWORKS, from_nnx
from jaxrkd.models.layers import Layers
from jaxrkd.train.networks import make_networks
from jaxrkd.train.state import NetState, Optimizers, TrainState
from jaxrkd.train.step import make_update
from jaxrkd.train.teachers import freeze_teachers

DATA = pathlib.Path(__file__).parent / 'data' / 'golden_train_steps.npz'
EIGHT = 8 / 255
ROBUST, BOTH = (
  {'robust': {'robust': 1.0}},
  {'clean': {'clean': 1.0}, 'robust': {'robust': 1.0}},
)
ELEMENT = dict(kl_reduction='element_mean', kl_scale=1.0)


class Case(NamedTuple):
  """How an entry of the file was computed."""

  method: str
  options: dict[str, Any] = {}
  roles: dict[str, dict[str, float]] = {}
  start: str = 'gauss'
  bn: str = 'eval'
  eps: float = EIGHT
  steps: int = 10
  step_size: float = 2 / 255
  updates: int = 1


def trained(method, options=None, roles=ROBUST):
  """ARD's and IAD's attack: BatchNorm in training mode, unclamped uniform start."""
  return Case(method, options or {}, roles, 'uniform_noclamp', 'train')


CASES = {
  'sat': Case('sat', start='uniform'),
  'ffgsm': Case('ffgsm', start='uniform', bn='train', steps=1, step_size=10 / 255),
  'trades': Case('trades', eps=0.031, step_size=0.007),
  'mart': Case('mart', eps=0.031, step_size=0.007),
  'mtard': Case('mtard', ELEMENT, BOTH, updates=3),
  'rslad_cifar10': Case('rslad', ELEMENT, ROBUST),
  'rslad_cifar100': Case('rslad', {**ELEMENT, 'kl_scale': 10.0}, ROBUST),
  'rslad_mixed': Case(
    'rslad',
    dict(alpha=0.5, teacher='all', attack_target='robust'),
    {'all': {'robust': 0.5, 'clean': 0.5}, **ROBUST},
    steps=7,
  ),
  'ard_a1_t30': trained('ard'),
  'ard_a095_t5': trained('ard', dict(alpha=0.95, temperature=5.0)),
  'iad_warmup': trained('iad_1'),
  'iad': trained('iad_1', dict(begin=0)),
  'iad_a09_t5': trained('iad_1', dict(alpha=0.9, temperature=5.0, begin=0)),
  'iad2_warmup': trained('iad_2', roles=BOTH),
  'iad2': trained('iad_2', dict(begin=0), BOTH),
  'iad2_t3': trained('iad_2', dict(begin=0, temperature=3.0), BOTH),
  'adaad_a1': Case('adaad', ELEMENT, ROBUST),
  'adaad_a05': Case('adaad', dict(alpha=0.5, kl_scale=1.0), ROBUST),
  'akd_a05': Case('akd', {}, {'all': {'robust': 1.0}}, 'uniform', steps=7),
  'akd_ensemble': Case(
    'akd',
    dict(alpha=0.6),
    {'all': {'robust': 0.7, 'clean': 0.3}},
    'uniform',
    steps=7,
  ),
}
# The raw terms where the file has them: entry -> {its name: ours}.
TERMS = {
  name: {'adv_term': 'loss_adv', 'nat_term': 'loss_nat'}
  for name in ('rslad_cifar10', 'rslad_cifar100')
}


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
  with np.load(DATA) as archive:
    found = {name: archive[name] for name in archive.files}
  # Attacks that several methods share are stored once.
  return {**found, **{name: found[other] for name, other in found.pop('same')}}


class GoldenTest(parameterized.TestCase):
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
    )
    net = network()
    names = sorted({name for shares in case.roles.values() for name in shares})
    frozen = freeze_teachers(
      dict.fromkeys(names, net), case.roles, AVERAGES['probabilities']
    )
    networks = make_networks(net, '', {})
    joined = frozen.join({name: variables(self.archive, name) for name in names})
    update = jax.jit(
      make_update(
        networks, frozen, method, Search(recording), optimizers, attack_bn=case.bn
      )
    )
    params, stats = variables(self.archive, 'student')
    weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), method.weights)
    memory = jax.tree.map(
      lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, method.memory
    )
    state = TrainState(
      step=jnp.zeros((), jnp.int32),
      key=jax.random.key(0),
      nets={'student': NetState(params, stats, optimizers.student.init(params), {})},
      weights=weights,
      weights_opt=optimizers.weights.init(weights),
      memory=memory,
    )
    metrics = []
    for _ in range(case.updates):
      state, found = update(state, joined, self.batch())
      metrics.append({key: float(value) for key, value in found.items()})
    jax.effects_barrier()
    return state, metrics, made[0]

  @parameterized.named_parameters((name, name) for name in CASES)
  def test_step_equals_authors_code(self, name):
    case = CASES[name]
    state, metrics, x_adv = self.steps(case)
    golden = {
      key[len(name) + 1 :]: value
      for key, value in self.archive.items()
      if key.startswith(name + '/')
    }
    np.testing.assert_allclose(metrics[-1]['loss'], golden['loss'], rtol=1e-9)
    np.testing.assert_allclose(x_adv, golden['x_adv'].transpose(0, 2, 3, 1), atol=1e-7)
    for theirs, ours in TERMS.get(name, {}).items():
      np.testing.assert_allclose(metrics[-1][ours], golden[theirs], rtol=1e-9)
    if name == 'mtard':
      rows = [
        [m[k] for k in ('loss_adv', 'loss_nat', 'weight_adv', 'weight_nat', 'loss')]
        for m in metrics
      ]
      np.testing.assert_allclose(rows, golden['steps'], rtol=1e-9)
    expected = variables(self.archive, f'{name}/after')
    student = state.nets['student']
    for got, want in zip((student.params, student.stats), expected, strict=True):
      self.assertEqual(jax.tree.structure(got), jax.tree.structure(want))
      for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(want), strict=True
      ):
        np.testing.assert_allclose(a, b, atol=1e-6, err_msg=jax.tree_util.keystr(path))

  def test_every_entry_of_the_file_is_tested(self):
    entries = {key.split('/')[0] for key in self.archive if key.endswith('/loss')}
    self.assertEqual(entries, set(CASES))

  @parameterized.parameters('iad_warmup', 'iad', 'iad_a09_t5')
  def test_trust_of_iad(self, name):
    from jaxrkd import losses

    net = network()
    x_adv = jnp.asarray(self.archive[f'{name}/x_adv'].transpose(0, 2, 3, 1), jnp.float64)
    logits = net.apply(*variables(self.archive, 'robust'), x_adv)
    trust = losses.true_probability(logits, jnp.asarray(self.archive['labels'])) ** 0.1
    np.testing.assert_allclose(trust, self.archive[f'{name}/alpha_weight'], rtol=1e-5)


if __name__ == '__main__':
  absltest.main()
