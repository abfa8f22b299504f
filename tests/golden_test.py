"""One optimisation step of each method against numbers of the authors' own code.

`data/golden_train_steps.npz` holds a ResNet-8, teachers, a batch and random draws, and
what the methods' public PyTorch programs made of them in float64.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd import optimizers as optim
from jaxrkd.attacks import Linf, Search, pgd_search
from jaxrkd.methods import METHODS
from jaxrkd.models import NETWORKS, from_nnx
from jaxrkd.models.layers import Layers
from jaxrkd.train.state import NetState, Optimizers, TrainState
from jaxrkd.train.step import make_update

DATA = pathlib.Path(__file__).parent / 'data' / 'golden_train_steps.npz'
EIGHT = 8 / 255
# Method -> (options, threat, search options, steps on the same batch).
CASES = {
  'sat': ({}, Linf(EIGHT), dict(steps=10, step_size=2 / 255), 1),
  'trades': ({}, Linf(0.031), dict(steps=10, step_size=0.007), 1),
  'mtard': (
    dict(kl_reduction='element_mean', kl_scale=1.0),
    Linf(EIGHT),
    dict(steps=10, step_size=2 / 255),
    3,
  ),
}


def network():
  return from_nnx(lambda rngs: NETWORKS['resnet8'](Layers(rngs), classes=10, channels=3))


def variables(archive, prefix):
  """The arrays of a PyTorch network as (params, stats)."""
  params, stats = {}, {}
  for key in archive.files:
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


class GoldenTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    self.archive = np.load(DATA)

  def batch(self):
    images = self.archive['images'].astype(np.float64).transpose(0, 2, 3, 1)
    return {
      'image': jnp.asarray(images),
      'label': jnp.asarray(self.archive['labels'].astype(np.int32)),
      'key': jax.random.split(jax.random.key(0), len(images)),
    }

  def start(self, method, eps):
    normal = self.archive['noise_normal'].astype(np.float64).transpose(0, 2, 3, 1)
    spread = self.archive['noise_uniform'].astype(np.float64).transpose(0, 2, 3, 1)

    def first(threat, keys, clean):
      del threat, keys
      if method == 'sat':
        return jnp.clip(clean + eps * spread, 0, 1)
      return clean + 0.001 * normal

    return first

  @parameterized.named_parameters((name, name) for name in CASES)
  def test_step_equals_authors_code(self, name):
    options, threat, search_options, steps = CASES[name]
    method = METHODS[name](**options)
    search = pgd_search(threat, start=self.start(name, threat.eps), **search_options)
    made = []

    def recording(keys, objective, clean, carry):
      images, carry = search.climb(keys, objective, clean, carry)
      jax.debug.callback(lambda x: made.append(np.asarray(x)), images, ordered=True)
      return images, carry

    schedule = optim.SCHEDULES['milestones'](300, 391, peak=0.1, milestones=(215,))
    optimizers = Optimizers(
      optim.sgd(schedule, momentum=0.9, weight_decay=2e-4),
      optim.weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
    )
    net = network()
    teachers = {key: variables(self.archive, key) for key in method.teachers}
    update = jax.jit(
      make_update(
        net, dict.fromkeys(teachers, net), method, Search(recording), optimizers
      )
    )
    params, stats = variables(self.archive, 'student')
    weights = jax.tree.map(jnp.asarray, method.weights)
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
    for _ in range(steps):
      state, found = update(state, teachers, self.batch())
      metrics.append({key: float(value) for key, value in found.items()})

    golden = {
      key[len(name) + 1 :]: self.archive[key]
      for key in self.archive.files
      if key.startswith(name + '/')
    }
    np.testing.assert_allclose(metrics[-1]['loss'], golden['loss'], rtol=1e-9)
    jax.effects_barrier()
    np.testing.assert_allclose(made[0], golden['x_adv'].transpose(0, 2, 3, 1), atol=1e-7)
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


if __name__ == '__main__':
  absltest.main()
