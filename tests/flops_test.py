"""Counted arithmetic against sums by hand."""

import jax
import jax.numpy as jnp
from absl.testing import absltest, parameterized

from jaxrkd.models.conv import conv2d
from jaxrkd.models.named import named_network, network_options
from jaxrkd.train.flops import count_flops


def zeros(*shape):
  return jax.ShapeDtypeStruct(shape, jnp.float32)


class FlopsTest(parameterized.TestCase):
  def test_products(self):
    self.assertEqual(
      count_flops(lambda a, b: a @ b, zeros(2, 3, 4), zeros(4, 5)), 2 * 2 * 3 * 4 * 5
    )

  @parameterized.parameters(1, 2)
  def test_convolutions_and_their_gradients(self, stride):
    given = zeros(2, 8, 8, 4), zeros(3, 3, 4, 6)
    conv = lambda x, k: conv2d(x, k, stride)
    once = 2 * (2 * (8 // stride) ** 2 * 6) * (3 * 3 * 4)
    self.assertEqual(count_flops(conv, *given), once)
    grad = lambda argnums: jax.grad(lambda x, k: conv(x, k).sum(), argnums)
    # A sum needs the forward pass to no end, but it is in the trace.
    self.assertEqual(count_flops(grad(0), *given), 2 * once)
    self.assertEqual(count_flops(grad(1), *given), 2 * once)

  def test_a_compiled_function_stays_as_it_was(self):
    step = jax.jit(lambda x, k: conv2d(x, k))
    given = jnp.ones((1, 8, 8, 16)), jnp.ones((3, 3, 16, 16))
    self.assertEqual(count_flops(step, *given), 2 * 64 * 16 * 9 * 16)
    self.assertIn('fast_in_loop', str(jax.make_jaxpr(step)(*given)))

  def test_loops_and_branches(self):
    a = zeros(4, 4)
    step = lambda _, x: x @ x
    self.assertEqual(count_flops(lambda x: jax.lax.fori_loop(0, 7, step, x), a), 7 * 128)
    more = lambda x: x @ x @ x
    branch = lambda x: jax.lax.cond(x[0, 0] > 0, more, lambda x: x @ x, x)
    self.assertEqual(count_flops(branch, a), 256)

  def test_the_networks_of_the_papers(self):
    # Published as 0.56 GMAC (kuangliu's ResNet-18) and 5.2 GMAC (WRN-28-10).
    for name, giga in (('resnet18', 0.556), ('wrn_28_10', 5.25)):
      net = named_network(network_options(dict(name=name)), 10, (32, 32, 3))
      variables = jax.eval_shape(net.init, jax.random.key(0))
      found = count_flops(net.apply, *variables, zeros(1, 32, 32, 3))
      self.assertAlmostEqual(found / 2e9, giga, delta=0.01)


if __name__ == '__main__':
  absltest.main()
