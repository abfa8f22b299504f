"""What every method owes (a new row of the table is tested by itself), and details."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import losses
from jaxrkd.attacks import Linf, pgd_search
from jaxrkd.errors import InputError
from jaxrkd.methods import METHODS, anl
from jaxrkd.methods.base import batch_mean
from jaxrkd.runtime.checkpoint import Checkpoints

ALL = tuple((name, name) for name in METHODS)


class ConformanceTest(parameterized.TestCase):
  @parameterized.named_parameters(*ALL)
  def test_losses_do_not_depend_on_the_number_of_devices(self, method):
    # In float64: in float32 rounding turns the sign of a gradient near 0 now and then.
    with jax.enable_x64(True):
      self.check_devices(tiny.config(method, epochs=3), rtol=1e-9)

  def test_mtard_in_float32_too(self):
    made = tiny.config('mtard', epochs=6, **tiny.AUGMENTED)
    self.check_devices(made, 1e-5, (1, 8), steps=20)

  def check_devices(self, made, rtol, counts=(1, 4), steps=8):
    curves = {}
    for devices in counts:
      run = tiny.Run(made, devices)
      _, rows = run.steps(run.setup.init(), steps)
      curves[devices] = [row['loss'] for row in rows]
      np.testing.assert_allclose(curves[devices], curves[1], rtol=rtol)
    self.assertNotEqual(curves[1][0], curves[1][-1])

  @parameterized.named_parameters(*ALL)
  def test_a_run(self, method):
    """What one compiled program shows; compiling is what takes the time."""
    run = tiny.Run(tiny.config(method, ema__decay=0.9, optimizer__weight_decay=0.0), 2)
    teachers = jax.device_get(run.teachers)
    state = run.setup.init()
    params = lambda state: jax.device_get({k: n.params for k, n in state.nets.items()})
    before = params(state)
    with jax.log_compiles(), self.assertLogs('jax', 'WARNING') as logs:
      state, rows = run.steps(state, 3)

    with self.subTest('every parameter is trained'):
      after = params(state)
      for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True
      ):
        self.assertTrue(np.any(a != b), jax.tree_util.keystr(path))
    with self.subTest(
      'one trace; a checkpoint, method state included, continues exactly'
    ):
      store = Checkpoints(tiny.folder(self) / 'last')
      store.save(3, state, {'note': method})
      store.wait()
      # On into the second epoch.
      with jax.log_compiles(), self.assertNoLogs('jax', 'WARNING'):
        straight, want = run.steps(state, 3)
      lines = [line for line in logs.output if 'Compiling jit(train_step)' in line]
      self.assertLen(lines, 1)
      again, record = store.restore(run.setup.learner.like)
      self.assertEqual(record, {'note': method, 'step': 3})
      resumed, got = run.steps(again, 3)
      self.assertEqual(want, got)
      chex.assert_trees_all_equal(
        jax.tree.map(_data, straight), jax.tree.map(_data, resumed)
      )
      store.close()
    with self.subTest('teachers stay as they are'):
      chex.assert_trees_all_equal(teachers, jax.device_get(run.teachers))
    with self.subTest('bfloat16 stays close and parameters stay float32'):
      half = tiny.Run(tiny.config(method, precision='bfloat16'), 2)
      state, low = half.steps(half.setup.init(), 3)
      for leaf in jax.tree.leaves(state.nets):
        self.assertNotEqual(leaf.dtype, jnp.bfloat16)
      a, b = ([row['loss'] for row in r] for r in (rows, low))
      np.testing.assert_allclose(a, b, rtol=0.1)
      self.assertNotEqual(a, b)

  @parameterized.parameters('natural', 'sat', 'rslad', 'iad_1')
  def test_attack_with_batch_statistics(self, method):
    """Each mode of BatchNorm in the attack moves the running mean as it should."""
    means = {}
    for mode in ('eval', 'batch', 'train'):
      steps = dict(threat__eps=0.03, attack__steps=1, attack__step_size=0.03)
      run = tiny.Run(tiny.config(method, attack__bn=mode, **steps), 2)
      state, _ = run.steps(run.setup.init(), 1)
      stats = state.nets['student'].stats
      means[mode] = np.asarray(stats['bns']['0']['mean'])
    scale = np.where(means['eval'] == 0, 1, means['eval'])
    # The images of the loss may differ by the attack, the number of updates does not.
    np.testing.assert_allclose(np.abs(means['batch'] / scale), 1, atol=0.1)
    if METHODS[method]().inner.prepare is None:
      np.testing.assert_array_equal(means['train'], means['eval'])
    else:
      self.assertGreater(float(np.abs(means['train'] / scale).mean()), 1.1)


def _data(leaf):
  if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    leaf = jax.random.key_data(leaf)
  return np.asarray(leaf)


def linear_student(stats, images):
  """Logits of a fixed linear model; `stats` records the order of calls."""
  weights = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32)
  return images.reshape(len(images), -1) @ weights, (*stats, float(images[0, 0, 0, 0]))


def example_batch():
  rng = np.random.default_rng(0)
  image = rng.uniform(size=(5, 2, 2, 1)).astype(np.float32)
  return {
    'image': jnp.asarray(image),
    'label': jnp.array([0, 1, 2, 0, 1]),
    'mask': jnp.array([1.0, 1, 1, 1, 0]),
  }


class TradesTest(parameterized.TestCase):
  def test_order_of_forwards(self):
    batch = example_batch()
    adversarial = batch['image'] + 1
    x, x_adv = float(batch['image'][0, 0, 0, 0]), float(adversarial[0, 0, 0, 0])
    for forwards, order in ((3, (x, x_adv, x)), (2, (x, x_adv))):
      method = METHODS['trades'](forwards=forwards)
      _, calls = method.terms(linear_student, (), {}, batch, adversarial)
      np.testing.assert_allclose(calls, order)

  def test_detach_changes_the_gradient_only(self):
    batch = example_batch()

    def loss(scale, detach):
      method = METHODS['trades'](detach=detach)
      student = lambda s, x: (linear_student((), x)[0] * scale, s)
      terms, _ = method.terms(student, (), {}, batch, batch['image'][::-1])
      return method.total(terms, {})

    values = [loss(1.0, d) for d in (False, True)]
    slopes = [jax.grad(loss)(1.0, d) for d in (False, True)]
    self.assertAlmostEqual(float(values[0]), float(values[1]), places=6)
    self.assertGreater(abs(float(slopes[0] - slopes[1])), 1e-3)

  def test_value_against_numpy_with_padding_left_out(self):
    batch = example_batch()
    adversarial = batch['image'][::-1]
    method = METHODS['trades'](beta=2.0)
    terms, _ = method.terms(linear_student, (), {}, batch, adversarial)

    def probs(images):
      z = np.asarray(linear_student((), images)[0], np.float64)
      return np.exp(z) / np.exp(z).sum(-1, keepdims=True)

    p, q = probs(batch['image'])[:4], probs(adversarial)[:4]
    ce = -np.log(p[np.arange(4), np.asarray(batch['label'])[:4]]).mean()
    kl = (p * np.log(p / q)).sum(-1).mean()
    np.testing.assert_allclose(method.total(terms, {}), ce + 2 * kl, rtol=1e-5)

  def test_bad_option(self):
    with self.assertRaisesRegex(InputError, 'forwards is 4'):
      METHODS['trades'](forwards=4)


class MtardTest(parameterized.TestCase):
  def terms(self, **options):
    method = METHODS['mtard'](**options)
    batch = example_batch()
    teachers = {
      'clean': lambda x, t=1.0: linear_student((), x)[0][:, ::-1] / t,
      'robust': lambda x, t=1.0: 2 * linear_student((), x)[0] / t,
    }
    terms, calls = method.terms(linear_student, (), teachers, batch, batch['image'] / 2)
    return method, terms, calls

  def test_terms_pair_each_teacher_with_its_images(self):
    _, terms, calls = self.terms(kl_scale=1.0, kl_epsilon=0.0)
    batch = example_batch()
    z = lambda x: linear_student((), x)[0]
    x, x_adv = batch['image'], batch['image'] / 2
    want = {
      'adv': batch_mean(losses.kl(2 * z(x_adv), z(x_adv)), batch),
      'nat': batch_mean(losses.kl(z(x)[:, ::-1], z(x)), batch),
    }
    chex.assert_trees_all_close(terms, want, rtol=1e-6)
    np.testing.assert_allclose(calls, (x_adv[0, 0, 0, 0], x[0, 0, 0, 0]))

  def test_order_scale_and_reduction(self):
    _, base, _ = self.terms()
    _, terms, calls = self.terms(forward_order='nat_adv')
    self.assertGreater(calls[0], calls[1])
    chex.assert_trees_all_close(base, terms)
    _, terms, _ = self.terms(kl_scale=1.0)
    self.assertAlmostEqual(float(terms['adv']), 10 * float(base['adv']), places=5)
    _, terms, _ = self.terms(kl_scale=0.3, kl_reduction='element_mean')
    self.assertAlmostEqual(float(terms['adv']), float(base['adv']), places=6)

  def test_variants_without_balance(self):
    method, terms, _ = self.terms(anl=False)
    self.assertEqual(method.weights, {'adv': 0.5, 'nat': 0.5})
    self.assertEqual(method.weight_rate, 0.0)
    # Figure 4 shows the relative losses of this variant, too.
    memory = anl.initial_memory(('adv', 'nat'))
    self.assertEqual(jax.tree.structure(method.memory), jax.tree.structure(memory))
    half = 0.5 * (terms['adv'] + terms['nat'])
    self.assertAlmostEqual(float(method.total(terms, method.weights)), float(half))
    method, terms, calls = self.terms(teachers='adv_only')
    self.assertEqual((set(terms), len(calls), method.teachers), ({'adv'}, 1, ('robust',)))
    self.assertEqual(float(method.total(terms, {})), float(terms['adv']))

  @parameterized.parameters(
    (dict(anl_rate=2.0), 'anl_rate is 2.0'),
    (dict(anl_init='first'), 'anl_init'),
    (dict(anl_ema=1.0), 'anl_ema is 1.0'),
    (dict(teachers='one'), 'method.teachers'),
    (dict(forward_order='both'), 'forward_order'),
    (dict(kl_reduction='mean'), 'kl_reduction'),
  )
  def test_bad_options(self, options, text):
    with self.assertRaisesRegex(InputError, text):
      METHODS['mtard'](**options)


class AnlTest(parameterized.TestCase):
  LOSSES = ((2.0, 1.0), (1.0, 0.9), (0.5, 0.8), (0.4, 0.2))

  def run_weights(self, options, beta=1.0, rate=0.025):
    """Weights over steps of two per epoch, by the module's own functions and SGD."""
    memory, weights, found = anl.initial_memory(('adv', 'nat')), np.array([0.5, 0.5]), []
    options = {'anl_ema': 0.0, 'anl_init': 'batch', **options}
    for step, (adv, nat) in enumerate(self.LOSSES):
      terms = {'adv': jnp.float32(adv), 'nat': jnp.float32(nat)}
      moment = {'step': jnp.int32(step), 'epoch': jnp.int32(step // 2)}
      memory = anl.observe(memory, terms, moment, **options)
      tree = {'adv': jnp.float32(weights[0]), 'nat': jnp.float32(weights[1])}
      pull = anl.gradient(tree, memory, beta=beta)
      weights = weights - rate * np.array([float(pull['adv']), float(pull['nat'])])
      found.append(weights)
    return np.array(found)

  def oracle(self, first, beta=1.0, rate=0.025, smooth=0.0, rest=1):
    w, found, level = 0.5, [], np.array(first, float)
    for step, pair in enumerate(self.LOSSES):
      level = smooth * level + (1 - smooth) * np.array(pair)
      relative = (level / first) ** beta
      if step >= rest:
        w = rate * relative[0] / relative.sum() + (1 - rate) * w
      else:
        level = np.array(first, float)
      found.append((w, 1 - w))
    return np.array(found)

  def test_equations_of_the_paper(self):
    np.testing.assert_allclose(
      self.run_weights({}), self.oracle(self.LOSSES[0]), rtol=1e-6
    )
    np.testing.assert_allclose(
      self.run_weights({}, beta=2.0), self.oracle(self.LOSSES[0], beta=2.0), rtol=1e-6
    )

  def test_smoothed_losses(self):
    np.testing.assert_allclose(
      self.run_weights({'anl_ema': 0.5}),
      self.oracle(self.LOSSES[0], smooth=0.5),
      rtol=1e-6,
    )

  def test_first_loss_from_the_first_epoch(self):
    first = np.mean(self.LOSSES[:2], axis=0)
    np.testing.assert_allclose(
      self.run_weights({'anl_init': 'epoch'}), self.oracle(first, rest=2), rtol=1e-6
    )

  def test_weight_rate_follows_the_learning_rate_unless_told_not_to(self):
    """After a drop to a tenth of the rate the weights move a tenth as far."""
    moved = {}
    for decays in (True, False):
      made = tiny.config('mtard')
      made.method = dict(name='mtard', anl_rate=0.5, anl_wlr_decay=decays)
      made.schedule = dict(name='milestones', peak=1e-6, milestones=(1,))
      run = tiny.Run(made)
      per_epoch = run.setup.steps_per_epoch
      _, rows = run.steps(run.setup.init(), per_epoch + 1)
      before, after = rows[-2]['weight_adv'], rows[-1]['weight_adv']
      total = rows[-1]['relative_adv'] + rows[-1]['relative_nat']
      moved[decays] = (after - before) / (rows[-1]['relative_adv'] / total - before)
    np.testing.assert_allclose(moved[True], 0.05, rtol=2e-2)
    np.testing.assert_allclose(moved[False], 0.5, rtol=2e-3)


class SearchInTrainingTest(absltest.TestCase):
  def test_each_attack_step_in_train_mode_moves_the_statistics(self):
    """As in ARD's and IAD's code: one update of the running mean per gradient."""
    steps, momentum = 3, 0.9
    updates = lambda x, n: (x.sum((1, 2, 3)), momentum * n + 1)
    search = pgd_search(Linf(0.0), steps=steps, step_size=0.0)
    _, seen = search.with_carry(
      jax.random.key(0), updates, jnp.ones((1, 2, 2, 1)), jnp.float32(0)
    )
    want = functools.reduce(lambda n, _: momentum * n + 1, range(steps), 0.0)
    self.assertAlmostEqual(float(seen), want, places=5)


if __name__ == '__main__':
  absltest.main()
