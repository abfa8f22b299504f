"""What `benchmarks/traffic.py` adds up, against programs whose traffic is known."""

import functools
import pathlib
import sys
from unittest import mock

import jax
import jax.numpy as jnp
from absl.testing import absltest

from jaxrkd.runtime import sharding

BENCHMARKS = pathlib.Path(__file__).parent.parent / 'benchmarks'
with mock.patch.object(sys, 'path', [str(BENCHMARKS), *sys.path]):
  import hlo
  import steps


def compiled(function, *given):
  return jax.jit(function).lower(*given).compile().as_text()


class OperationsTest(absltest.TestCase):
  def test_shapes(self):
    text = '(bf16[2,3]{1,0}, f32[], /*index=2*/pred[8]{0}, u32[4,0]{1,0:T(8,128)})'
    self.assertEqual(hlo.bytes_of(text), 12 + 4 + 8 + 0)

  def test_a_product(self):
    text = compiled(jnp.matmul, jnp.ones((16, 32)), jnp.ones((32, 8)))
    (product,) = hlo.operations(text)
    self.assertEqual((product.times, product.size), (1, 4 * (16 * 32 + 32 * 8 + 16 * 8)))

  def test_many_operands(self):
    text = compiled(
      lambda *those: functools.reduce(jnp.add, those), *[jnp.ones(1000)] * 12
    )
    self.assertEqual(sum(one.size for one in hlo.operations(text)), 4000 * 13)

  def test_loops_count_every_round(self):
    def many(x, w):
      return jax.lax.fori_loop(0, 7, lambda _, x: jnp.tanh(x @ w), x)

    # 3 tensors in each product, and two where tanh is; XLA may do more around the loop.
    least = 7 * 4 * 5 * 64 * 64
    found = list(hlo.operations(compiled(many, jnp.ones((64, 64)), jnp.ones((64, 64)))))
    products = [one for one in found if '/dot_general' in one.line]
    self.assertEqual([one.times for one in products], [7])
    inside = sum(one.times * one.size for one in found if one.times == 7)
    self.assertBetween(inside, least, 1.3 * least)

  def test_conditions_of_loops(self):
    def until(x):
      return jax.lax.while_loop(lambda x: jnp.max(x @ x) < 9, lambda x: x + 1, x)

    found = hlo.operations(compiled(until, jnp.ones((8, 8))))
    self.assertIn('/dot_general', ''.join(one.line for one in found))

  def test_branches(self):
    def either(flag, x):
      return jax.lax.cond(flag, lambda x: x @ x, jnp.tanh, x)

    found = hlo.operations(compiled(either, True, jnp.ones((32, 32))))
    self.assertIn('/dot_general', ''.join(one.line for one in found))

  def test_collectives(self):
    mesh = jax.make_mesh((2,), ('data',), devices=jax.devices()[:2])
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
    x = jax.device_put(jnp.ones((4, 64)), rows)
    counts, sizes, inside = hlo.collectives(compiled(lambda x: x.sum(0), x))
    self.assertEqual((counts, sizes, inside), ({'all-reduce': 1}, {'all-reduce': 256}, 0))

    def again(x):
      return jax.lax.fori_loop(0, 3, lambda _, x: x + x.sum(0), x)

    self.assertEqual(hlo.collectives(compiled(again, x))[2], 1)

  def test_described_steps_lie_as_those_of_a_run(self):
    config = steps.config_of(
      *('mtard', 'cifar10', 'resnet8', 'small', 4, 'float32'), ['mesh.fsdp=2']
    )
    mesh = sharding.data_mesh(jax.devices()[:2], 2)
    _, given = steps.described(config, mesh)
    real = steps.make_step(config, mesh=mesh).arguments
    jax.tree.map(self.assert_alike, given, real)

  def assert_alike(self, given, real):
    self.assertEqual((given.shape, given.dtype), (real.shape, real.dtype))
    self.assertTrue(given.sharding.is_equivalent_to(real.sharding, real.ndim))


if __name__ == '__main__':
  absltest.main()
