"""What every network owes; rows of a plugin are tested by themselves, see docs/extending.md."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.attacks import Linf, pgd
from jaxrkd.models import NETWORKS, is_shipped
from jaxrkd.models.named import named_network, network_options
from jaxrkd.models.net import parameter_count
from jaxrkd.runtime import sharding

# The smallest ones of jaxrkd's own; `models_test` has the others.
SMALL = {'convnet': dict(widths=(4, 8), strides=(1, 2)), 'resnet8': dict(width=4)}
NAMES = [name for name in NETWORKS if name in SMALL or not is_shipped(name)]
CLASSES, SHAPE = 3, (8, 8, 1)


def network(name, precision='float32'):
  node = network_options({'name': name, **SMALL.get(name, {})})
  return named_network(node, CLASSES, SHAPE, precision)


class ConformanceTest(parameterized.TestCase):
  @parameterized.parameters(*NAMES)
  def test_as_functions(self, name):
    net = network(name)
    params, stats = jax.jit(net.init)(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (6, *SHAPE))
    apply = jax.jit(net.apply)
    logits = apply(params, stats, images)
    self.assertEqual((logits.shape, logits.dtype), ((6, CLASSES), jnp.float32))
    self.assertGreater(parameter_count(params), 0)
    with self.subTest('an image does not depend on its batch in evaluation mode'):
      alone = jax.jit(net.apply)(params, stats, images[:1])
      np.testing.assert_allclose(logits[:1], alone, rtol=1e-4, atol=1e-5)
    with self.subTest('the same answer when asked again'):
      np.testing.assert_array_equal(logits, apply(params, stats, images))
    with self.subTest('training mode leaves parameters, and padding counts for nothing'):
      train = jax.jit(net.apply_train)
      mask = jnp.arange(6) < 4
      other = images.at[4:].set(0.5)
      _, moved = train(params, stats, images, mask.astype(jnp.float32))
      _, again = train(params, stats, other, mask.astype(jnp.float32))
      chex.assert_trees_all_equal_shapes_and_dtypes(stats, moved)
      chex.assert_trees_all_close(_numbers(moved), _numbers(again), atol=1e-5)
    with self.subTest('other values from another key'):
      drawn, _ = jax.jit(net.init)(jax.random.key(7))
      pairs = zip(jax.tree.leaves(params), jax.tree.leaves(drawn))
      self.assertTrue(any(bool(jnp.any(a != b)) for a, b in pairs))
    with self.subTest('every parameter has a gradient'):
      loss = lambda p: jnp.square(net.apply_train(p, stats, images, None)[0]).sum()
      slopes = jax.jit(jax.grad(loss))(params)
      for path, leaf in jax.tree_util.tree_leaves_with_path(slopes):
        self.assertTrue(bool(jnp.any(leaf != 0)), jax.tree_util.keystr(path))
    with self.subTest('images have a gradient, so that attacks can follow it'):
      labels = logits.argmax(-1)
      attack = pgd(Linf(0.05), steps=4, step_size=0.02, start='none')
      found = attack(jax.random.key(0), net.logits_fn(params, stats), images, labels)
      self.assertGreater(float(jnp.abs(found - images).max()), 0.04)
    if net.folded is not None:
      with self.subTest('folded BatchNorm gives the same logits'):
        got = jax.jit(net.folded)(*net.fold(params, stats), images)
        np.testing.assert_allclose(got, logits, rtol=1e-3, atol=1e-4)

  @parameterized.parameters(*NAMES)
  def test_in_a_run(self, name):
    """Named in a config: trained over several devices, in both precisions."""
    node = dict(name=name, **SMALL.get(name, {}))
    for precision in ('float32', 'bfloat16'):
      made = tiny.config('sat', student=node, precision=precision)
      run = tiny.Run(made, 2)
      _, rows = run.steps(run.setup.init(), 3)
      self.assertTrue(np.isfinite([row['loss'] for row in rows]).all())
    self.assertEqual(run.mesh.size, sharding.data_mesh(jax.devices()[:2]).size)


def _numbers(stats):
  """Statistics without keys of random numbers."""
  return [
    leaf
    for leaf in jax.tree.leaves(stats)
    if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    and jnp.issubdtype(leaf.dtype, jnp.floating)
  ]


if __name__ == '__main__':
  absltest.main()
