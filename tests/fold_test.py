"""Networks frozen for evaluation, as GPUs run them: the same numbers, whole steps included."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.models import net as nets
from jaxrkd.models.named import named_network, network_options


def folding(on):
  return mock.patch.object(nets, 'folding_pays', lambda: on)


def moved_stats(stats):
  """Running statistics that are not those of an untrained network."""
  return jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(jnp.arange(leaf.size)), stats)


class FrozenTest(parameterized.TestCase):
  @parameterized.parameters(
    ('resnet8', 'none'),
    *((name, 'cifar10') for name in ('resnet8', 'wrn', 'mobilenet_v2')),
  )
  def test_logits_and_input_gradients(self, name, normalisation):
    options = dict(depth=10, width=1) if name == 'wrn' else {}
    node = network_options(dict(name=name, normalisation=normalisation, **options))
    net = named_network(node, 7, (16, 16, 3))
    params, stats = jax.jit(net.init)(jax.random.key(0))
    stats = moved_stats(stats)
    images = jax.random.uniform(jax.random.key(1), (3, 16, 16, 3))

    def look(on):
      with folding(on):
        logits_fn = net.logits_fn(params, stats)
        total = lambda x: jnp.sum(jnp.sin(logits_fn(x)))
        return jax.jit(lambda x: (logits_fn(x), jax.grad(total)(x)))(images)

    for one, other in zip(look(True), look(False)):
      size = float(jnp.abs(other).max())
      np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * size)

  def test_convolutions_are_in_the_compute_type(self):
    node = network_options(dict(name='resnet8'))
    net = named_network(node, 7, (16, 16, 3), 'bfloat16')
    with folding(True):
      still, fold = net.frozen()
    params, stats = jax.eval_shape(fold, *jax.eval_shape(net.init, jax.random.key(0)))
    block = params['layer1']['0']
    self.assertEqual(block['conv1']['kernel'].dtype, jnp.bfloat16)
    self.assertEqual(block['bn1']['bias'].dtype, jnp.bfloat16)
    self.assertEqual(block['bn1']['scale'].dtype, jnp.float32)
    self.assertEqual(params['fc']['kernel'].dtype, jnp.float32)
    self.assertEqual(jax.tree.leaves(stats)[0].dtype, jnp.float32)
    self.assertIsNone(still.frozen()[1])  # once is enough

  @parameterized.parameters('mmard', 'at_aka')  # all uses of a network
  def test_steps_are_the_same(self, method):
    found = []
    with jax.enable_x64(True):
      for on in (False, True):
        with folding(on):
          run = tiny.Run(tiny.small_resnets(method))
          state, rows = run.steps(run.setup.init(), 2)
        found.append((jax.tree.leaves(state.nets), [row['loss'] for row in rows]))
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9)
    for a, b in zip(found[0][0], found[1][0], strict=True):
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


if __name__ == '__main__':
  absltest.main()
