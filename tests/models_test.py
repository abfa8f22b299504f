"""Networks: sizes, the one BatchNorm, convolutions, and networks of other making."""

import functools
from unittest import mock

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from flax import nnx

from jaxrkd import models
from jaxrkd.attacks.repeat import slow_in_loop
from jaxrkd.errors import InputError
from jaxrkd.models import NETWORKS, conv, layers
from jaxrkd.models.activations import relu
from jaxrkd.models.batch_norm import BatchNorm, counted_rows
from jaxrkd.models.depthwise import depthwise_conv2d
from jaxrkd.models.layers import Layers
from jaxrkd.models.own import CONVENTIONS
from jaxrkd.models.winograd import winograd_conv

# Of a 3x3 kernel at stride 1.
PADS = ((1, 1), (1, 1))
COUNTS = {
  ('resnet18', 10): 11_173_962,
  ('resnet18', 100): 11_220_132,
  ('mobilenet_v2', 10): 2_296_922,
  ('mobilenet_v2', 100): 2_412_212,
  ('resnet56', 10): 855_770,
  ('resnet56', 100): 861_620,
  ('wrn_22_6', 10): 9_658_458,
  ('wrn_22_6', 100): 9_693_108,
  ('wrn_28_10', 10): 36_479_194,
  ('wrn_34_10', 10): 46_160_474,
  ('wrn_34_10', 100): 46_218_164,
  ('wrn_34_20', 10): 184_531_674,
  ('wrn_70_16', 10): 266_796_506,
  ('wrn_70_16', 100): 266_888_756,
  ('wrn_28_10', 100): 36_536_884,
  ('preact_resnet18', 10): 11_172_170,
  ('preact_resnet18', 100): 11_218_340,
  ('dm_preact_resnet18', 10): 12_548_426,
  ('dm_wrn_22_6', 100): 9_693_108,
  ('dm_wrn_28_10', 10): 36_479_194,
  ('dm_wrn_34_20', 10): 184_531_674,
  ('dm_wrn_70_16', 100): 266_888_756,
}
# Option A, whose shortcuts have no parameters.
PADDED = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018}
SMALL = {
  'resnet18': dict(width=4),
  'preact_resnet18': dict(width=4),
  'dm_preact_resnet18': dict(width=4),
  'wrn': dict(depth=10, width=1),
  'dm_wrn': dict(depth=10, width=1),
  'convnet': {},
}


def make(name, classes=10, channels=3, **options):
  return models.from_nnx(
    lambda rngs: NETWORKS[name](Layers(rngs), classes, channels, **options)
  )


class NetworkTest(parameterized.TestCase):
  @parameterized.named_parameters((f'{n}_{c}', n, c) for n, c in COUNTS)
  def test_parameter_count(self, name, classes):
    params, _ = jax.eval_shape(make(name, classes).init, jax.random.key(0))
    self.assertEqual(models.parameter_count(params), COUNTS[name, classes])

  @parameterized.parameters(*PADDED)
  def test_parameter_count_of_option_a(self, depth):
    net = make(f'resnet{depth}', shortcut='padding')
    params, _ = jax.eval_shape(net.init, jax.random.key(0))
    self.assertEqual(models.parameter_count(params), PADDED[depth])

  @parameterized.parameters('resnet8', 'mobilenet_v2', *SMALL)
  def test_logits_and_modes(self, name):
    net = make(name, 7, **SMALL.get(name, {}))
    params, stats = jax.jit(net.init)(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (4, 16, 16, 3))
    apply = jax.jit(net.apply)
    logits = apply(params, stats, images)
    self.assertEqual((logits.shape, logits.dtype), ((4, 7), jnp.float32))
    # In evaluation an image does not see its batch; in training it does.
    others = apply(params, stats, images.at[1:].set(1 - images[1:]))
    np.testing.assert_allclose(logits[:1], others[:1], rtol=1e-4, atol=1e-5)
    # DeepMind's begin with logits of zero, whatever the images are.
    head = params['logits']['kernel'] if 'logits' in params else None
    if head is not None:
      params['logits']['kernel'] = jax.random.normal(jax.random.key(2), head.shape)
      logits = apply(params, stats, images)
    trained, moved = jax.jit(net.apply_train)(params, stats, images, None)
    self.assertEqual(jax.tree.structure(stats), jax.tree.structure(moved))
    self.assertGreater(float(jnp.abs(trained - logits).max()), 1e-4)
    for old, new in zip(jax.tree.leaves(stats), jax.tree.leaves(moved), strict=True):
      self.assertTrue(bool(jnp.any(old != new)))

  def test_names_follow_the_pytorch_files(self):
    params, _ = jax.eval_shape(make('resnet18').init, jax.random.key(0))
    self.assertEqual(
      set(params), {'conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4', 'linear'}
    )
    self.assertEqual(set(params['layer2']['0']['shortcut']), {'0', '1'})
    params, _ = jax.eval_shape(make('resnet56').init, jax.random.key(0))
    self.assertIn('downsample', params['layer2']['0'])
    self.assertIn('fc', params)
    params, _ = jax.eval_shape(make('mobilenet_v2').init, jax.random.key(0))
    projected = {i for i in params['layers'] if 'shortcut' in params['layers'][i]}
    self.assertEqual(projected, {'0', '1', '10', '16'})
    params, _ = jax.eval_shape(make('wrn_34_10').init, jax.random.key(0))
    self.assertIn('convShortcut', params['block2']['layer']['0'])
    self.assertNotIn('convShortcut', params['block2']['layer']['1'])

  @parameterized.parameters(('resnet20', dict(depth=21)), ('wrn', dict(depth=35)))
  def test_impossible_depth(self, name, options):
    with self.assertRaisesRegex(InputError, 'it must be 6n'):
      make(name, **options)

  def test_bfloat16_networks_keep_float32_parameters_and_logits(self):
    net = models.from_nnx(
      lambda rngs: NETWORKS['resnet8'](Layers(rngs, jnp.bfloat16), 10, 3)
    )
    params, stats = jax.jit(net.init)(jax.random.key(0))
    self.assertEqual({p.dtype for p in jax.tree.leaves(params)}, {jnp.dtype('float32')})
    images = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
    logits = jax.eval_shape(net.apply, params, stats, images)
    self.assertEqual(logits.dtype, jnp.float32)
    self.assertIn('bf16', str(jax.make_jaxpr(net.apply)(params, stats, images)))

  @parameterized.product(own=(True, False), training=(True, False))
  def test_remat_changes_memory_and_nothing_else(self, own, training):
    """With the convolutions of CPU and of other devices."""
    self.enterContext(mock.patch.object(conv, 'on_cpu', lambda: own))
    images = jax.random.uniform(jax.random.key(1), (16, 16, 16, 3))
    found, memory = [], []
    sizes = dict(depth=10, width=4, activation='swish')
    for remat in (False, True):
      net = models.from_nnx(
        lambda rngs, r=remat: NETWORKS['wrn'](Layers(rngs, remat=r), 10, 3, **sizes)
      )
      params, stats = jax.jit(net.init)(jax.random.key(0))

      def loss(params, images, net=net, stats=stats):
        if training:
          # Two rows are padding, which no batch statistic may count.
          mask = jnp.arange(16) < 14
          logits, moved = net.apply_train(params, stats, images, mask)
        else:
          logits, moved = net.apply(params, stats, images), stats
        return jnp.sum(logits[:14, 0] ** 2), moved

      wrt = 0 if training else 1
      step = jax.jit(jax.value_and_grad(loss, argnums=wrt, has_aux=True))
      program = step.lower(params, images).compile()
      memory.append(program.memory_analysis().temp_size_in_bytes)
      found.append(program(params, images))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
      # No kinks, as ReLUs have, that rounding may move a value over.
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * float(jnp.abs(b).max()))
    if own and training:  # XLA for CPU undoes what other devices do
      self.assertLess(memory[1], 0.7 * memory[0])

  def test_remat_keeps_images_apart(self):
    """One that is no number, and comes first, takes no gradient from the others."""
    images = jax.random.uniform(jax.random.key(1), (3, 8, 8, 1)).at[0].set(jnp.nan)
    found = []
    for remat in (False, True):
      net = models.from_nnx(
        lambda rngs, r=remat: NETWORKS['resnet8'](Layers(rngs, remat=r), 3, 1)
      )
      params, stats = jax.jit(net.init)(jax.random.key(0))
      total = lambda x, n=net, p=params, s=stats: jnp.sum(n.apply(p, s, x) ** 2)
      found.append(jax.jit(jax.grad(total))(images))
    self.assertGreater(float(jnp.abs(found[0][1:]).max()), 0)
    np.testing.assert_allclose(found[0][1:], found[1][1:], rtol=1e-3, atol=1e-6)

  def test_initial_values_of_haiku(self):
    kernel = layers.haiku_default(jax.random.key(0), (3, 3, 64, 64))
    self.assertLessEqual(float(jnp.abs(kernel).max()), 2 / (9 * 64) ** 0.5)
    # A normal cut at two deviations has 0.8796 of its deviation.
    self.assertAlmostEqual(float(kernel.std()), 0.8796 / (9 * 64) ** 0.5, delta=2e-4)

  def test_same_padding(self):
    """Against XLA's own rule, odd sizes included."""
    rng = np.random.default_rng(0)
    for size, stride in ((8, 2), (7, 2), (8, 1)):
      x = jnp.asarray(rng.normal(size=(2, size, size, 3)), jnp.float32)
      kernel = jnp.asarray(rng.normal(size=(3, 3, 3, 4)), jnp.float32)
      want = jax.lax.conv_general_dilated(
        *(x, kernel, (stride, stride), 'SAME'), dimension_numbers=conv.DIMENSIONS
      )
      for own in (True, False):
        with mock.patch.object(conv, 'on_cpu', lambda m=own: m):
          found = conv.conv2d(x, kernel, stride, 'same')
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)

  def test_initial_values_as_pytorch(self):
    kernel = layers.torch_default(jax.random.key(0), (3, 3, 64, 64))
    bound = (9 * 64) ** -0.5
    self.assertBetween(float(jnp.abs(kernel).max()), 0.99 * bound, bound)
    self.assertAlmostEqual(float(kernel.std()), bound / 3**0.5, delta=2e-4)
    kernel = layers.kaiming_fan_out(jax.random.key(0), (3, 3, 32, 64))
    self.assertAlmostEqual(float(kernel.std()), (2 / (9 * 64)) ** 0.5, delta=1e-3)

  def test_normalisation_inside(self):
    net = make('convnet', channels=2)
    inside = models.normalized(net, (0.5, 0.2), (0.1, 0.4))
    params, stats = inside.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (2, 8, 8, 2))
    by_hand = (images - jnp.array([0.5, 0.2])) / jnp.array([0.1, 0.4])
    np.testing.assert_allclose(
      inside.apply(params, stats, images), net.apply(params, stats, by_hand), rtol=1e-5
    )
    a, _ = inside.apply_train(params, stats, images, None)
    b, _ = net.apply_train(params, stats, by_hand, None)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


class ReluTest(absltest.TestCase):
  def test_values_and_gradients(self):
    points = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0, -jnp.inf, jnp.inf, jnp.nan])
    values, pull = jax.vjp(relu, points)
    np.testing.assert_array_equal(values, np.maximum(points, 0))
    np.testing.assert_array_equal(pull(jnp.full(8, 5.0))[0], [0, 0, 0, 5, 5, 0, 5, 5])

  def test_gradient_needs_the_result_only(self):
    # What a convolution gave may be overwritten, or never written, on a GPU.
    trace = jax.make_jaxpr(jax.grad(lambda x: relu(x).sum()))(jnp.ones(3))
    readers = [e for e in trace.eqns if trace.jaxpr.invars[0] in e.invars]
    self.assertLen(readers, 1)  # the forward pass


class BatchNormTest(parameterized.TestCase):
  @parameterized.parameters('unbiased', 'biased')
  def test_running_values(self, variance):
    x = np.random.default_rng(0).normal(2, 3, (5, 4, 4, 3)).astype(np.float32)
    norm = BatchNorm(3, variance=variance)
    norm.train()
    y = norm(jnp.asarray(x))
    flat, count = x.reshape(-1, 3), 5 * 4 * 4
    np.testing.assert_allclose(
      y, (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5), rtol=1e-4, atol=1e-4
    )
    factor = count / (count - 1) if variance == 'unbiased' else 1
    np.testing.assert_allclose(norm.mean[...], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * flat.var(0) * factor, rtol=1e-5)
    norm.eval()
    want = (x - norm.mean[...]) / np.sqrt(norm.var[...] + 1e-5)
    np.testing.assert_allclose(norm(jnp.asarray(x)), want, rtol=1e-4, atol=1e-4)

  def test_padding_does_not_count(self):
    x = jax.random.normal(jax.random.key(0), (6, 3, 3, 2))
    short, padded = BatchNorm(2), BatchNorm(2)
    want = short(x[:4])
    with counted_rows(jnp.array([1, 1, 1, 1, 0, 0])):
      got = padded(x.at[4:].set(1e3))[:4]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(padded.mean[...], short.mean[...], rtol=1e-5)
    np.testing.assert_allclose(padded.var[...], short.var[...], rtol=1e-5)

  def test_unknown_variance(self):
    with self.assertRaisesRegex(InputError, "did you mean 'unbiased'"):
      BatchNorm(2, variance='unbaised')


class ConvolutionTest(parameterized.TestCase):
  """Against XLA's convolution in float64: narrow, wide (Winograd) and depthwise."""

  @parameterized.product(
    size=(1, 3, 5),
    stride=(1, 2),
    shape=((4, 5), (7, 6), (1, 1)),
    kind=('narrow', 'depth'),
  )
  def test_matmul_equals_xla(self, size, stride, shape, kind):
    self.check(size, stride, shape, *{'narrow': (3, 4), 'depth': (1, 3)}[kind])

  @parameterized.product(stride=(1, 2), shape=((8, 8), (5, 7), (2, 3), (1, 4)))
  def test_wide_equals_xla(self, stride, shape):
    with mock.patch.object(conv, 'MIN_WINOGRAD_WORK', 0):
      self.check(3, stride, shape, 16, 24)

  def check(self, size, stride, shape, inputs, outputs):
    rng = np.random.default_rng(0)
    depthwise = inputs == 1
    function = depthwise_conv2d if depthwise else conv.conv2d
    with jax.enable_x64(True):
      x = jnp.asarray(rng.normal(size=(2, *shape, outputs if depthwise else inputs)))
      kernel = jnp.asarray(rng.normal(size=(size, size, inputs, outputs)))

      def everything(x, kernel):
        value, pull = jax.vjp(functools.partial(function, stride=stride), x, kernel)
        return value, *pull(jnp.cos(value))

      found = []
      for own in (True, False):
        with mock.patch.object(conv, 'on_cpu', lambda m=own: m):
          found.append(jax.jit(lambda *a: everything(*a))(x, kernel))  # traced anew
      for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    # float32 takes other programs.
    single = jax.jit(lambda *a: everything(*a))(
      *(jnp.asarray(np.asarray(a), jnp.float32) for a in (x, kernel))
    )
    for a, b in zip(single, found[0], strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())

  def test_depthwise_of_many_seeds_at_once(self):
    """Mapped over kernels, too, nothing but the branch that counts is computed."""
    keys = jax.random.split(jax.random.key(0))
    x, k = jax.random.normal(keys[0], (2, 3, 6, 6, 4)), jnp.ones((2, 3, 3, 1, 4))
    k = k * jax.random.normal(keys[1], k.shape)
    for stride in (1, 2):
      slope = jax.grad(lambda x, k, s=stride: jnp.sin(depthwise_conv2d(x, k, s)).sum(), 1)
      twice = jax.grad(lambda k, x, f=slope: jnp.sum(f(x, k) ** 2))
      mapped = jax.jit(jax.vmap(slope)), jax.jit(jax.vmap(twice))
      found = mapped[0](x, k), mapped[1](k, x)
      for n in range(2):
        np.testing.assert_allclose(found[0][n], slope(x[n], k[n]), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[1][n], twice(k[n], x[n]), rtol=1e-3, atol=1e-3)
      self.assertNotIn('select_n', str(jax.make_jaxpr(jax.vmap(depthwise_conv2d))(x, k)))

  def test_no_images(self):
    for size in (1, 3):
      kernel = jnp.ones((size, size, 4, 5))
      self.assertEqual(conv.conv2d(jnp.ones((0, 6, 6, 4)), kernel).shape, (0, 6, 6, 5))

  def test_own_gradient_stays_in_its_loop(self):
    """No attack loop is written out for it, and XLA's own gradient is still noticed."""
    x, kernel = jnp.ones((2, 8, 8, 16)), jnp.ones((3, 3, 16, 16))
    for function, slow in ((conv.conv2d, False), (conv.xla_conv, True)):
      more = (1, PADS) if slow else (1,)
      total = lambda x, f=function, m=more: f(x, kernel, *m).sum()
      self.assertEqual(slow_in_loop(jax.grad(total), x), slow)

  def test_winograd_rounds_little_in_float32(self):
    """The error of an image gradient stays within a few times that of direct products."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 8, 8, 64))
    kernel = rng.normal(size=(3, 3, 64, 64)) / 24
    with jax.enable_x64(True):
      want = conv.xla_conv(jnp.asarray(x), jnp.asarray(kernel), 1, PADS)
    x, kernel = jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)
    want = np.asarray(want)
    error = np.abs(np.asarray(winograd_conv(x, kernel)) - want).max()
    direct = np.abs(np.asarray(conv._product(x, kernel, 1, PADS)) - want).max()
    self.assertLess(error, 6 * direct)


class OtherNetworksTest(parameterized.TestCase):
  @parameterized.parameters(*CONVENTIONS)
  def test_linen_with_batch_norm_and_dropout(self, convention):
    """Whatever its call names the mode."""

    class Theirs(linen.Module):
      def forward(self, x, train):
        x = linen.Conv(4, (3, 3), name='conv')(x)
        x = linen.BatchNorm(use_running_average=not train, name='norm')(x)
        drop = linen.Dropout(0.5, deterministic=not train)
        return linen.Dense(3, name='head')(drop(x.mean((1, 2))))

    body = f'self.forward(x, {"" if CONVENTIONS[convention] else "not "}{convention})'
    names = {}
    exec(f'def call(self, x, {convention}):\n  return {body}', names)
    made = type(
      *(
        'Made',
        (Theirs,),
        {'__call__': linen.compact(names['call']), '__module__': __name__},
      )
    )
    net = models.from_linen(made(), (8, 8, 1))
    params, stats = net.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
    np.testing.assert_array_equal(
      net.apply(params, stats, images), net.apply(params, stats, images)
    )
    first, moved = net.apply_train(params, stats, images, None)
    second, _ = net.apply_train(params, moved, images, None)
    self.assertTrue(bool(jnp.any(first != second)))  # fresh dropout each time
    mean = moved['collections']['batch_stats']['norm']['mean']
    self.assertGreater(float(jnp.abs(mean).max()), 0)
    # Begun from what it has learnt.
    own = {'params': params, **moved['collections']}
    again = models.from_linen(made(), (8, 8, 1), own)
    params_again, stats_again = again.init(jax.random.key(5))
    np.testing.assert_array_equal(
      again.apply(params_again, stats_again, images), net.apply(params, moved, images)
    )
    with self.assertRaisesRegex(InputError, "variables have 'batch_stats'; give"):
      models.from_linen(made(), (8, 8, 1), moved['collections'])

  def test_linen_without_a_mode(self):
    class Plain(linen.Module):
      @linen.compact
      def __call__(self, x):
        return linen.Dense(3)(x.mean((1, 2)))

    net = models.from_linen(Plain(), (8, 8, 1))
    images = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
    variables = net.init(jax.random.key(0))
    logits, _ = net.apply_train(*variables, images, None)
    np.testing.assert_array_equal(logits, net.apply(*variables, images))

    class Kept(linen.Module):
      @linen.compact
      def __call__(self, x):
        x = linen.BatchNorm(use_running_average=False)(x)
        return linen.Dense(3)(x.mean((1, 2)))

    with self.assertRaisesRegex(InputError, 'none of the arguments train, training'):
      models.from_linen(Kept(), (8, 8, 1))

  def test_functions(self):
    net = models.as_net((lambda key: jnp.ones(3), lambda w, x: x.sum((1, 2)) * w))
    images = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
    params, stats = net.init(jax.random.key(0))
    logits, same = net.apply_train(params, stats, images, None)
    np.testing.assert_array_equal(logits, images.sum((1, 2)) * np.ones(3))
    self.assertEqual((stats, same), ({}, {}))

  @parameterized.parameters(
    (linen.Dense(3), 'is the Linen module Dense, which.*models.from_linen'),
    (len, 'is the function len, which has nothing'),
    ({}, 'is a dict; give a Flax NNX module'),
  )
  def test_no_network(self, given, said):
    with self.assertRaisesRegex(InputError, f'^the student {said}'):
      models.as_net(given, 'the student')

  def test_nnx_with_flax_batch_norm_and_dropout(self):
    class Theirs(nnx.Module):
      def __init__(self, rngs):
        self.norm = nnx.BatchNorm(1, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(64, 3, rngs=rngs)

      def __call__(self, x):
        return self.head(self.drop(self.norm(x).reshape(len(x), -1)))

    net = models.from_nnx(Theirs)
    params, stats = net.init(jax.random.key(0))
    images = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
    first, moved = jax.jit(net.apply_train)(params, stats, images, None)
    second, _ = net.apply_train(params, moved, images, None)
    self.assertTrue(bool(jnp.any(first != second)))
    self.assertGreater(float(moved['norm']['mean'][0]), 0)
    np.testing.assert_array_equal(
      net.apply(params, stats, images), net.apply(params, stats, images)
    )

  def test_an_nnx_module_keeps_its_values_and_gets_others_back(self):
    class Theirs(nnx.Module):
      def __init__(self, rngs):
        self.norm = nnx.BatchNorm(1, rngs=rngs)
        self.heads = nnx.List([nnx.Linear(64, 3, rngs=rngs)])

      def __call__(self, x):
        return self.heads[0](self.norm(x).reshape(len(x), -1))

    module = Theirs(nnx.Rngs(3))
    module.eval()
    images = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
    before = module(images)
    net = models.as_net(module)
    params, stats = net.init(jax.random.key(0))
    np.testing.assert_allclose(net.apply(params, stats, images), before, rtol=1e-6)
    _, stats = net.apply_train(params, stats, images, None)
    params = jax.tree.map(lambda leaf: 2 * leaf, params)
    np.testing.assert_array_equal(module(images), before)
    models.update_nnx(module, params, stats)
    module.eval()
    np.testing.assert_allclose(
      module(images), net.apply(params, stats, images), rtol=1e-6
    )
    self.assertGreater(float(jnp.abs(module(images) - before).max()), 1e-3)


if __name__ == '__main__':
  absltest.main()
