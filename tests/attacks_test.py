"""Properties every attack owes, and closed forms on linear classifiers."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import attacks
from jaxrkd.attacks import ATTACKS, L2, STARTS, Linf, objectives
from jaxrkd.attacks.repeat import repeat
from jaxrkd.attacks.threat import radius
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images


def _norm(name):
  return 'l2' if name in tiny.L2_ONLY else 'linf'


THREATS = {'linf': Linf(0.06), 'l2': L2(0.5)}
NAMES = tuple((f'{a}_{t}', a, t) for a in ATTACKS for t in THREATS)
# Those that raise an objective to the end; the others are after a wrong prediction, and
# `autoattack_test` measures them on linear classifiers.
CLIMBERS = tuple(row for row in NAMES if row[1] not in tiny.QUICK)


def problem(batch=4, classes=3):
  """Images strictly inside the box, labels, and a linear classifier of them."""
  rng = np.random.default_rng(0)
  images = jnp.asarray(rng.uniform(0.3, 0.7, (batch, 6, 6, 2)), jnp.float32)
  labels = jnp.asarray(np.arange(batch) % classes)
  weights = jnp.asarray(rng.normal(size=(72, classes)), jnp.float32)
  return images, labels, lambda x: x.reshape(len(x), -1) @ weights, weights


class AttackTest(parameterized.TestCase):
  @parameterized.named_parameters(*CLIMBERS)
  def test_stays_in_the_ball_and_the_box_and_raises_its_objective(self, name, threat):
    images, labels, logits_fn, _ = problem()
    images = jnp.round(images * 2) / 2  # some pixels on the edge of the box
    whole, threat = threat == 'linf', THREATS[threat]
    attack = ATTACKS[name](threat)
    found = attack(jax.random.key(0), logits_fn, images, labels)
    if whole:
      # As a part of a larger program.
      inside = jax.jit(lambda key, x, y: attack(key, logits_fn, x, y))
      within = inside(jax.random.key(0), images, labels)
      np.testing.assert_allclose(found, within, atol=1e-5)
    chex.assert_equal_shape((found, images))
    far = np.asarray(threat.norm(found - images), np.float64)
    self.assertLessEqual(far.max(), threat.eps * (1 + 1e-5))
    # Projecting what is already inside changes nothing.
    np.testing.assert_allclose(threat.project(found, images), found, atol=1e-6)
    self.assertGreaterEqual(float(found.min()), 0)
    self.assertLessEqual(float(found.max()), 1)
    objective = objectives.of_images(attack.objective, logits_fn, labels, images)
    self.assertTrue(bool(jnp.all(objective(found) > objective(images))))

  @parameterized.named_parameters(*CLIMBERS)
  def test_reaches_the_optimum_of_a_two_class_linear_model(self, name, threat):
    images, _, _, weights = problem(classes=2)
    labels = jnp.zeros(len(images), int)
    threat = THREATS[threat]
    slope = (weights[:, 1] - weights[:, 0]).reshape(1, 6, 6, 2)
    unit = threat.steepest(jnp.broadcast_to(slope, images.shape))
    best = images + threat.eps * unit
    options = {} if name == 'fgsm' else {'step_size': threat.eps / 5}
    if name == 'cw_inf':
      options['kappa'] = 1e4
    if name.startswith('svgd'):
      # Without the push, which keeps particles off the optimum.
      options['gamma'] = 0.0
    found = ATTACKS[name](threat, **options)(
      jax.random.key(1),
      lambda x: 0.01 * x.reshape(len(x), -1) @ weights[:, :2],
      images,
      labels,
    )
    np.testing.assert_allclose(
      jnp.sum(slope * found, (1, 2, 3)), jnp.sum(slope * best, (1, 2, 3)), rtol=5e-3
    )

  # The norm changes no place in a batch: one is enough for what compiles long.
  @parameterized.named_parameters(
    *CLIMBERS, *((n, n, _norm(n)) for n in tiny.QUICK if n != 'autoattack')
  )
  def test_an_image_does_not_depend_on_its_batch_or_place(self, name, threat):
    images, labels, logits_fn, _ = problem(batch=5)
    attack = ATTACKS[name](THREATS[threat], **tiny.QUICK.get(name, {}))
    keys = attacks.example_keys(jax.random.key(3), jnp.arange(5))
    if name in tiny.QUICK:
      attack = jax.jit(attack, static_argnums=1)
    whole = attack(keys, logits_fn, images, labels)
    turned = attack(keys[::-1], logits_fn, images[::-1], labels[::-1])[::-1]
    np.testing.assert_array_equal(whole, turned)
    for i in range(5):
      part = slice(i, i + 1)
      alone = attack(keys[part], logits_fn, images[part], labels[part])
      np.testing.assert_allclose(whole[part], alone, atol=1e-6)

  def test_pgd_equals_a_numpy_loop(self):
    images, labels, logits_fn, weights = problem()
    attack = attacks.pgd(Linf(0.06), steps=3, step_size=0.025, start='none')
    x, w = np.asarray(images, np.float64), np.asarray(weights, np.float64)
    for _ in range(3):
      z = x.reshape(4, -1) @ w
      p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
      gradient = ((p - np.eye(3)[np.asarray(labels)]) @ w.T).reshape(x.shape)
      x = x + 0.025 * np.sign(gradient)
      x = np.clip(np.clip(x, images - 0.06, images + 0.06), 0, 1)
    found = attack(jax.random.key(0), logits_fn, images, labels)
    np.testing.assert_allclose(found, x, atol=1e-6)

  def test_fgsm_is_one_sign_step(self):
    images, labels, logits_fn, _ = problem()
    ce = objectives.cross_entropy(logits_fn, labels)
    gradient = jax.grad(lambda x: ce(x).sum())(images)
    want = jnp.clip(images + 0.06 * jnp.sign(gradient), 0, 1)
    found = attacks.fgsm(Linf(0.06))(jax.random.key(0), logits_fn, images, labels)
    np.testing.assert_allclose(found, want, atol=1e-6)

  @parameterized.parameters(
    (lambda f, y: lambda x: f(x), r'gives \[\d+, 3\] for \d+ images'),
    (lambda f, y: lambda x: f(x).sum(), r'gives \[\] for \d+ images'),
    (lambda f, y: None, 'gives a NoneType'),
  )
  def test_objectives_that_are_none(self, objective, said):
    """Under an evaluation, in a direct call and in APGD: what is no value for each image."""
    images, labels, logits_fn, _ = problem()
    search = attacks.pgd_search(Linf(0.06))
    for attack in (
      attacks.Attack(search, objective),
      attacks.apgd(Linf(0.06), loss=objective, steps=3),
    ):
      with self.assertRaisesRegex(InputError, said):
        attack(jax.random.key(0), logits_fn, images, labels)
      with self.assertRaisesRegex(InputError, said):
        attack_images(logits_fn, np.asarray(images), np.asarray(labels), attack)

  @parameterized.parameters(
    ((attacks.pgd_search,), 'search of an attack is the function pgd_search'),
    ((attacks.pgd_search(Linf(0.1)), 3), 'objective of an attack is 3'),
    ((attacks.pgd_search(Linf(0.1)), len, 'next'), "aim of an attack is 'next'"),
  )
  def test_attacks_that_are_none(self, given, said):
    with self.assertRaisesRegex(InputError, said):
      attacks.Attack(*given)

  def test_cw_objective_is_clamped_at_kappa(self):
    logits = jnp.array([[3.0, 1.0, 0.0], [0.0, 9.0, 1.0]])
    labels = jnp.array([0, 0])
    got = objectives.cw_margin(lambda x: x, labels, kappa=5.0)(logits)
    np.testing.assert_allclose(got, [-7.0, 0.0])

  def test_published_settings(self):
    """The steps, sizes and starts of the papers' evaluations, read off the searches."""
    for name, steps, size, start in (
      ('pgd_sat', 20, 2 / 255, 'uniform'),
      ('pgd_trades', 20, 0.003, 'uniform'),
      ('cw_inf', 30, 2 / 255, 'uniform'),
      ('fgsm', 1, 8 / 255, 'none'),
    ):
      images = jnp.full((1, 4, 4, 1), 0.5)
      turn = lambda x: -jnp.abs(x - 0.5 - 1e-4).sum((1, 2, 3)) * 0.1
      turning = lambda x, turn=turn: jnp.stack([-turn(x), turn(x)], -1)
      # A slope that turns at once: there and back, a step each; of an odd number, one stays.
      for eps in (8 / 255, 32 / 255):
        options = {} if name == 'fgsm' else {'start': 'none', 'steps': 11}
        attack = ATTACKS[name](Linf(eps), **options)
        found = attack(jax.random.key(0), turning, images, jnp.zeros(1, int))
        np.testing.assert_allclose(found - images, size * eps * 255 / 8, atol=1e-6)
      self.assertEqual(ATTACKS[name](Linf(8 / 255)).search.queries, steps)
      default = ATTACKS[name](Linf(8 / 255))
      flat = lambda x: jnp.zeros((len(x), 2)) + 0 * x.sum((1, 2, 3))[:, None]
      moved = default(jax.random.key(0), flat, images, jnp.zeros(1, int)) - images
      self.assertEqual(bool(jnp.any(moved != 0)), start == 'uniform')

  def test_the_result_is_detached(self):
    images, labels, logits_fn, _ = problem()
    attack = attacks.pgd(Linf(0.06), steps=4, start='none')
    slope = jax.grad(lambda x: attack(jax.random.key(0), logits_fn, x, labels).sum())(
      images
    )
    np.testing.assert_array_equal(slope, jnp.zeros_like(slope))

  def test_carry_counts_evaluations(self):
    images, labels, logits_fn, _ = problem()
    ce = objectives.cross_entropy(logits_fn, labels)
    search = attacks.pgd_search(Linf(0.06), steps=7)
    _, count = search.with_carry(
      jax.random.key(0), lambda x, n: (ce(x), n + 1), images, jnp.int32(0)
    )
    self.assertEqual(int(count), 7)


class StartTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.clean = jnp.full((3, 20, 20, 1), 0.5).at[:, :10].set(0.0)
    self.keys = attacks.example_keys(jax.random.key(0), jnp.arange(3))

  def test_kinds(self):
    made = {
      name: np.asarray(start(Linf(0.1), self.keys, self.clean))
      for name, start in STARTS.items()
    }
    np.testing.assert_array_equal(made['none'], self.clean)
    self.assertBetween(float((made['gauss'] - self.clean).std()), 9e-4, 1.1e-3)
    wide = made['uniform_noclamp'] - np.asarray(self.clean)
    self.assertBetween(float(np.abs(wide).max()), 0.099, 0.1 + 1e-6)
    self.assertBetween(float(wide.std()), 0.1 / 3**0.5 * 0.95, 0.1 / 3**0.5 * 1.05)
    self.assertLess(float(made['uniform_noclamp'].min()), -0.09)
    np.testing.assert_array_equal(made['uniform'], np.clip(made['uniform_noclamp'], 0, 1))

  def test_l2_noise_fills_the_ball(self):
    draw = jax.vmap(lambda key: L2(2.0).noise(key, (3, 1, 1), jnp.float32))
    noise = draw(jax.random.split(jax.random.key(0), 4000))
    radius = np.linalg.norm(np.asarray(noise).reshape(4000, 3), axis=1)
    self.assertLessEqual(radius.max(), 2.0 + 1e-5)
    # Volume grows as the cube: half of it lies within 2 * 0.5^(1/3).
    self.assertBetween(float((radius < 2 * 0.5 ** (1 / 3)).mean()), 0.47, 0.53)
    np.testing.assert_allclose(np.asarray(noise).mean(0), 0, atol=0.06)


class ThreatTest(parameterized.TestCase):
  @parameterized.parameters(
    (8 / 255, '8/255'),
    (float(np.float32(8 / 255)), '8/255'),
    (2.5 / 255, '0.009804'),
    (0.031, '0.031'),
    (0.2, '0.2'),  # That is 51/255, too.
    (1.0, '1'),
    (0.0, '0'),
    (12.0, '12'),
  )
  def test_radii_in_words(self, eps, words):
    self.assertEqual(radius(eps), words)

  @parameterized.parameters(
    *((8, 'between 0 and 1'), (-0.1, 'between 0 and 1'), (1.5, 'between 0 and 1')),
    *((float('nan'), 'one number'), (float('inf'), 'one number')),
  )
  def test_linf_radius_must_be_pixels(self, eps, message):
    with self.assertRaisesRegex(InputError, f'eps is .*{message}'):
      Linf(eps)

  def test_message_converts_levels(self):
    with self.assertRaisesRegex(InputError, r'8/255 = 0\.03137'):
      Linf(8)

  def test_bad_searches(self):
    for options, text in (
      (dict(steps=-1), 'steps is -1'),
      (dict(step_size=2.0), r'2/255 = 0\.0078'),
      (dict(start='unifrom'), "did you mean 'uniform'"),
    ):
      with self.assertRaisesRegex(InputError, text):
        attacks.pgd_search(Linf(0.1), **options)


class LoopTest(absltest.TestCase):
  def test_convolutions_are_unrolled_on_cpu_and_nothing_else(self):
    def conv(x):
      return jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), 'SAME')

    x = jnp.ones((1, 1, 4, 4))
    for body, loops in ((conv, 0), (jnp.sin, 1)):
      text = str(jax.make_jaxpr(functools.partial(repeat, 3, body))(x))
      self.assertEqual(text.count('scan[') + text.count('while['), loops)
    np.testing.assert_allclose(repeat(3, jnp.sin, x), jnp.sin(jnp.sin(jnp.sin(x))))


if __name__ == '__main__':
  absltest.main()
