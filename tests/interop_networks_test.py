"""Every network against PyTorch modules: names, shapes, logits, gradients, round trips."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_layouts as layouts
from absl.testing import absltest, parameterized

from jaxrkd.interop import architecture, torch_net
from jaxrkd.interop.state_dict import fit, from_state_dict, to_state_dict
from jaxrkd.interop.unwrap import unwrap
from jaxrkd.models import NETWORKS, NORMALISATIONS, SHIPPED
from jaxrkd.models.named import folded_network, named_network, network_options

CLASSES = 7


class Case(NamedTuple):
  """A network here and its PyTorch module, small enough for a test."""

  node: dict[str, Any]
  make: Any

  def net(self, classes=CLASSES, channels=3):
    node = network_options(self.node)
    return node, named_network(node, classes, (32, 32, channels))


def resnet(blocks, width, style='kuangliu', **options):
  return functools.partial(
    layouts.ResNet, blocks=blocks, width=width, style=style, **options
  )


def preact(width, **options):
  return functools.partial(layouts.PreActResNet, width=width, **options)


def wide(kind, depth, width, **options):
  return functools.partial(kind, depth=depth, width=width, **options)


def xcit(dim, heads):
  return functools.partial(layouts.XCiT, dim=dim, depth=12, heads=heads)


WIDE, DM = layouts.WideResNet, layouts.DMWideResNet
CASES = {
  'convnet': Case(
    dict(name='convnet', widths=(8, 8), strides=(1, 2)),
    functools.partial(layouts.ConvNet, widths=(8, 8), strides=(1, 2)),
  ),
  'resnet20': Case(dict(name='resnet20', width=8), resnet((3, 3, 3), 8, 'hub')),
  'resnet20_a': Case(
    dict(name='resnet20', width=8, shortcut='padding', normalisation='imagenet'),
    resnet((3, 3, 3), 8, 'option A'),
  ),
  'resnet18': Case(
    dict(name='resnet18', width=8, activation='gelu', normalisation='cifar10'),
    resnet((2, 2, 2, 2), 8, activation='gelu'),
  ),
  'resnet34': Case(dict(name='resnet34', width=4), resnet((3, 4, 6, 3), 4)),
  'preact': Case(dict(name='preact_resnet18', width=8), preact(8)),
  'preact_raw': Case(
    dict(name='preact_resnet18', width=8, final_bn=False, shortcut_reads='raw'),
    preact(8, final=False, raw=True),
  ),
  'dm_preact': Case(
    dict(name='dm_preact_resnet18', width=8),
    functools.partial(layouts.DMPreActResNet, width=8),
  ),
  'mobilenet_v2': Case(dict(name='mobilenet_v2'), layouts.MobileNetV2),
  'resnet50': Case(
    dict(name='resnet50', width=4, blocks=(1, 1, 1, 1)),
    resnet((1, 1, 1, 1), 4, three=True),
  ),
  'imagenet_resnet18': Case(
    dict(name='imagenet_resnet18', width=8, blocks=(1, 1, 1, 1)),
    resnet((1, 1, 1, 1), 8, 'imagenet'),
  ),
  'imagenet_resnet50': Case(
    dict(name='imagenet_resnet50', width=4, blocks=(1, 1, 1, 1)),
    resnet((1, 1, 1, 1), 4, 'imagenet', three=True),
  ),
  'imagenet_preact': Case(
    dict(name='preact_resnet18', width=8, stem='imagenet'), preact(8, large=True)
  ),
  'imagenet_mobilenet_v2': Case(
    dict(name='imagenet_mobilenet_v2'), layouts.ImageNetMobileNetV2
  ),
  'xcit': Case(
    dict(name='xcit_s12', dim=32, depth=2, heads=4, patch=4),
    functools.partial(layouts.XCiT, dim=32, depth=2, heads=4, patch=4),
  ),
  'wrn': Case(dict(name='wrn', depth=16, width=2), wide(WIDE, 16, 2)),
  'wrn_elu': Case(
    dict(name='wrn', depth=10, width=1, activation='elu'),
    wide(WIDE, 10, 1, activation='elu'),
  ),
  'dm_wrn': Case(
    dict(name='dm_wrn', depth=16, width=2, normalisation='cifar100'), wide(DM, 16, 2)
  ),
  'dm_wrn_sparse': Case(
    dict(name='dm_wrn', depth=16, width=2, mean_sparse=True),
    wide(DM, 16, 2, sparse=True),
  ),
  'dm_wrn_relu': Case(
    dict(name='dm_wrn', depth=10, width=2, activation='relu'),
    wide(DM, 10, 2, activation='relu'),
  ),
}
# Full sizes, for names and shapes.
FULL = {
  'resnet8': resnet((1, 1, 1), 16, 'hub'),
  'resnet20': resnet((3, 3, 3), 16, 'hub'),
  'resnet32': resnet((5, 5, 5), 16, 'hub'),
  'resnet44': resnet((7, 7, 7), 16, 'hub'),
  'resnet56': resnet((9, 9, 9), 16, 'hub'),
  'resnet18': resnet((2, 2, 2, 2), 64),
  'resnet34': resnet((3, 4, 6, 3), 64),
  'resnet50': resnet((3, 4, 6, 3), 64, three=True),
  'imagenet_resnet18': resnet((2, 2, 2, 2), 64, 'imagenet'),
  'imagenet_resnet34': resnet((3, 4, 6, 3), 64, 'imagenet'),
  'imagenet_resnet50': resnet((3, 4, 6, 3), 64, 'imagenet', three=True),
  'imagenet_mobilenet_v2': layouts.ImageNetMobileNetV2,
  'preact_resnet18': preact(64),
  'dm_preact_resnet18': functools.partial(layouts.DMPreActResNet, width=64),
  'mobilenet_v2': layouts.MobileNetV2,
  'convnet': functools.partial(layouts.ConvNet, widths=(32, 64, 64), strides=(1, 2, 1)),
  'xcit_s12': xcit(384, 8),
  'xcit_m12': xcit(512, 8),
  'xcit_l12': xcit(768, 16),
  'wrn': wide(WIDE, 34, 10),
  'dm_wrn': wide(DM, 28, 10),
  **{
    f'{start}wrn_{depth}_{width}': wide(kind, depth, width)
    for start, kind in (('', WIDE), ('dm_', DM))
    for depth, width in ((22, 6), (28, 10), (34, 10), (34, 20), (70, 16))
  },
}


def arrays(module):
  return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def normalised(node, images):
  mean, std = NORMALISATIONS[node['normalisation']]
  if not mean:
    return images
  mean, std = (torch.tensor(c, dtype=images.dtype)[:, None, None] for c in (mean, std))
  return (images - mean) / std


class NetworkTest(parameterized.TestCase):
  @parameterized.product(case=list(CASES), double=(False, True))
  def test_logits_and_gradients_are_those_of_pytorch(self, case, double):
    dtype, near = (torch.float64, 1e-9) if double else (torch.float32, 1e-4)
    module = CASES[case].make(CLASSES, 3).to(dtype)
    layouts.randomise(module)
    with jax.enable_x64(double):
      node, net = CASES[case].net()
      like = jax.eval_shape(net.init, jax.random.key(0))
      fitted = fit(unwrap(arrays(module), 'here')[0].state, *like)
      self.assertTrue(fitted.whole, fitted[1:])
      variables = jax.tree.map(jnp.asarray, from_state_dict(fitted.state, *like))

      @jax.jit
      def both(images, weights):
        logits, pull = jax.vjp(lambda x: net.apply(*variables, x), images)
        return logits, pull(weights)[0]

      # Each batch is a compilation: one image in float32, eight in float64. PyTorch 2.13's
      # own gradient of an XCiT of one image is wrong: differences of its logits say so.
      batch = 8 if double else 1 + (case == 'xcit')
      rng = np.random.default_rng(batch)
      images, weights = (
        rng.random((batch, 3, 32, 32)),
        rng.normal(size=(batch, CLASSES)),
      )
      theirs = torch.tensor(images, dtype=dtype, requires_grad=True)
      logits = module(normalised(node, theirs))
      (logits * torch.tensor(weights, dtype=dtype)).sum().backward()
      want = logits.detach().numpy()
      # Seen with the axes of JAX.
      gradient = theirs.grad.numpy().transpose(0, 2, 3, 1)
      given = images.transpose(0, 2, 3, 1), weights
      found = both(*(jnp.asarray(array, want.dtype) for array in given))
      self.assertGreater(np.abs(want).max(), 0.1)
      self.assertGreater(np.abs(gradient).max(), 1e-4)
      np.testing.assert_allclose(found[0], want, rtol=0, atol=near)
      np.testing.assert_allclose(found[1], gradient, rtol=0, atol=near)

  @parameterized.parameters(*CASES)
  def test_round_trip_is_exact(self, case):
    module = layouts.randomise(CASES[case].make(CLASSES, 3))
    _, net = CASES[case].net()
    like = jax.eval_shape(net.init, jax.random.key(0))
    given = arrays(module)
    back = to_state_dict(*from_state_dict(fit(given, *like).state, *like))
    counters = {name for name in given if name.endswith('num_batches_tracked')}
    self.assertEqual(set(back), set(given) - counters)
    for name, array in back.items():
      np.testing.assert_array_equal(array, given[name])
      self.assertEqual(array.dtype, given[name].dtype)
    # What came back is good for PyTorch's own loading.
    module.load_state_dict({k: torch.tensor(v) for k, v in back.items()}, strict=True)

  @parameterized.parameters(*CASES)
  def test_the_packages_own_pytorch_agrees_with_the_modules(self, case):
    module = layouts.randomise(CASES[case].make(CLASSES, 3), seed=1)
    node, _ = CASES[case].net()
    images = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    own = torch_net.torch_logits(node, arrays(module), 3)(images)
    with torch.no_grad():
      want = module(normalised(node, torch.tensor(images.transpose(0, 3, 1, 2))))
    np.testing.assert_allclose(own, want.numpy(), rtol=0, atol=1e-5)

  @parameterized.parameters(*CASES)
  def test_folded_batch_norm_changes_nothing(self, case):
    module = layouts.randomise(CASES[case].make(CLASSES, 3), seed=2)
    node, net = CASES[case].net()
    like = jax.eval_shape(net.init, jax.random.key(0))
    variables = from_state_dict(fit(arrays(module), *like).state, *like)
    folded, fold = folded_network(node, CLASSES, (32, 32, 3))
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    want = jax.jit(net.apply)(*variables, images)
    params, stats = fold(*variables)
    np.testing.assert_allclose(
      jax.jit(folded.apply)(params, stats, images), want, rtol=0, atol=1e-5
    )
    changed = jax.tree.map(lambda a, b: bool(np.any(a != b)), params, variables[0])
    self.assertTrue(any(jax.tree.leaves(changed)))

  @parameterized.product(name=sorted(SHIPPED), classes=(10, 100))
  def test_names_and_shapes_of_the_full_size(self, name, classes):
    with torch.device('meta'):
      module = FULL[name](classes, 3)
    state = {
      key: np.broadcast_to(np.float32(0), tuple(tensor.shape))
      for key, tensor in module.state_dict().items()
      if not key.endswith('num_batches_tracked')
    }
    # The head alone knows the classes, and large networks take long to trace.
    if classes == 10 or name == 'resnet8':
      net = named_network(network_options({'name': name}), classes, (32, 32, 3))
      fitted = fit(state, *jax.eval_shape(net.init, jax.random.key(0)))
      self.assertTrue(fitted.whole, fitted[1:])
    with self.subTest('recognised'):
      self.assertEqual(architecture.classes_of(state), classes)
      self.assertEqual(architecture.channels_of(state), 3)
      found = network_options(architecture.guess(state))
      own = network_options({'name': name})
      drop = lambda node: {k: v for k, v in node.items() if k not in ('name', 'strides')}
      self.assertEqual(drop(found), drop(own))

  @parameterized.parameters(*CASES)
  def test_small_ones_are_recognised(self, case):
    found = network_options(architecture.guess(arrays(CASES[case].make(CLASSES, 3))))
    own = network_options(CASES[case].node)
    # What leaves no trace in a file.
    silent = ('patch', 'activation', 'normalisation', 'shortcut_reads', 'strides', 'name')
    drop = lambda node: {k: v for k, v in node.items() if k not in silent}
    self.assertEqual(drop(found), drop(own))

  def test_every_network_has_a_counterpart(self):
    self.assertEqual(set(FULL), set(SHIPPED))
    for name in NETWORKS:
      self.assertIsNotNone(torch_net.family(name))


if __name__ == '__main__':
  absltest.main()
