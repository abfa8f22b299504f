"""Minimum-norm attacks against closed forms and numpy loops; distances and radii."""

import contextlib
import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from autoattack_test import NORMS, linear, nearest

from jaxrkd import attacks, experiment
from jaxrkd.attacks import ATTACKS, L2, Linf
from jaxrkd.attacks.minimum_norm import to_the_end
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, attack_radii, minimum_norm
from jaxrkd.experiment.columns import columns, with_radii

KEY = jax.random.key(0)


def far(attack, images, labels, logits_fn):
  ask = jax.jit(lambda k: attacks.distances(attack, k, logits_fn, images, labels))
  return [np.asarray(a) for a in ask(KEY)]


def quiet(function, *args, **options):
  with contextlib.redirect_stdout(io.StringIO()) as said:
    found = function(*args, **options)
  return found, said.getvalue()


def gradient(x, y, weights):
  """Of the cross-entropy of a linear classifier, [N, D], and its logits."""
  z = (x - 0.5) @ weights
  p = np.exp(z - z.max(-1, keepdims=True))
  p /= p.sum(-1, keepdims=True)
  return (p - np.eye(z.shape[1])[y]) @ weights.T, z


class ClosedFormTest(parameterized.TestCase):
  # What a search may miss of the closed form, where that is exact for two classes.
  @parameterized.parameters(
    ('deepfool', 'linf', {}, 1.06),
    ('deepfool', 'l2', {}, 1.06),
    ('ddn', 'l2', dict(steps=300), 1.02),
    ('cw_l2', 'l2', dict(steps=300, step_size=2e-3), 1.02),
  )
  def test_two_classes(self, name, norm, options, most):
    images, labels, logits_fn, weights = linear(classes=2)
    want = nearest(images, labels, weights, norm)
    # In the middle of the distances, which shows that the radius ends no search.
    attack = ATTACKS[name](NORMS[norm](float(np.median(want))), **options)
    found, distance = far(attack, images, labels, logits_fn)
    self.assertTrue(np.all(distance >= want * (1 - 1e-5)))
    rows = want > 3e-3  # beyond what a search goes past a boundary by
    self.assertGreater(rows.sum(), 6)
    self.assertLess((distance / want)[rows].max(), most)
    self.assertTrue(np.all(np.argmax(logits_fn(found), -1) != np.asarray(labels)))
    moved = NORMS[norm](1.0).norm(found - images)
    np.testing.assert_allclose(moved.ravel(), distance, rtol=1e-4)

  @parameterized.parameters('ddn', 'cw_l2', 'deepfool')
  def test_a_sure_softmax_hides_nothing(self, name):
    images, labels, logits_fn, _ = linear()
    attack = ATTACKS[name](L2(0.1), **({'weight': 1.0} if name == 'cw_l2' else {}))
    want = far(attack, images, labels, logits_fn)[1]
    found = far(attack, images, labels, lambda x: 1e4 * logits_fn(x))[1]
    self.assertTrue(np.isfinite(found).all())
    self.assertLess(np.median(found / want), 1.2)


class LoopTest(parameterized.TestCase):
  """Each step as the papers' algorithms have it, in float64."""

  def setUp(self):
    super().setUp()
    self.images, self.labels, self.logits_fn, self.weights = linear(count=6)
    self.x = np.asarray(self.images, np.float64).reshape(6, -1)
    self.y = np.asarray(self.labels)
    self.w = np.asarray(self.weights, np.float64)

  def compare(self, attack, want):
    _, distance = far(attack, self.images, self.labels, self.logits_fn)
    np.testing.assert_allclose(distance, want, rtol=2e-3, atol=2e-6)

  @parameterized.parameters('l2', 'linf')
  def test_deepfool(self, norm):
    want = []
    for x, y in zip(self.x, self.y):
      moved = np.zeros_like(x)
      for _ in range(50):
        now = x + 1.02 * moved
        z = (now - 0.5) @ self.w
        if z.argmax() != y:
          break
        others = [j for j in range(4) if j != y]
        slopes = [self.w[:, j] - self.w[:, y] for j in others]
        order = 2 if norm == 'l2' else 1
        reach = [
          abs(z[j] - z[y]) / np.linalg.norm(s, order) for j, s in zip(others, slopes)
        ]
        k = int(np.argmin(reach))
        unit = slopes[k] / np.linalg.norm(slopes[k])
        unit = unit if norm == 'l2' else np.sign(slopes[k])
        moved = moved + (reach[k] + 1e-4) * unit
      want.append(np.linalg.norm(1.02 * moved, 2 if norm == 'l2' else np.inf))
    self.compare(attacks.deepfool(NORMS[norm](0.01)), want)

  def test_ddn(self):
    steps, gamma = 30, 0.05
    moved, size = np.zeros_like(self.x), np.full(6, 0.2)
    want = np.full(6, np.inf)
    for k in range(steps):
      slope, z = gradient(self.x + moved, self.y, self.w)
      wrong = z.argmax(-1) != self.y
      length = np.linalg.norm(moved, axis=1)
      want = np.where(wrong, np.minimum(want, length), want)
      share = 0.01 + 0.99 * (1 + np.cos(np.pi * k / steps)) / 2
      moved = moved + share * slope / np.linalg.norm(slope, axis=1, keepdims=True)
      size = size * np.where(wrong, 1 - gamma, 1 + gamma)
      moved *= (size / np.linalg.norm(moved, axis=1))[:, None]
      moved = np.clip(self.x + moved, 0, 1) - self.x
    self.compare(attacks.ddn(L2(0.01), steps=steps, length=0.2), want)

  def test_cw_l2(self):
    steps, searches, rate = 40, 4, 0.01
    rows = np.arange(6)
    want, low, high = np.full(6, np.inf), np.zeros(6), np.full(6, np.inf)
    weight = np.full(6, 0.05)
    root = np.arctanh((2 * self.x - 1) * 0.999999)
    for _ in range(searches):
      v, m, s = (np.zeros_like(self.x) for _ in range(3))
      succeeded = np.zeros(6, bool)
      for k in range(steps):
        x = (np.tanh(root + v) + 1) / 2
        z = (x - 0.5) @ self.w
        other = np.where(np.eye(4, dtype=bool)[self.y], -np.inf, z).argmax(-1)
        ahead = z[rows, other] - z[rows, self.y]
        length = np.linalg.norm(x - self.x, axis=1)
        wrong = z.argmax(-1) != self.y
        want = np.where(wrong, np.minimum(want, length), want)
        succeeded |= wrong
        slope = 2 * (x - self.x)
        pull = (self.w[:, self.y] - self.w[:, other]).T
        slope = slope + np.where(ahead < 0, weight, 0)[:, None] * pull
        slope = slope * 2 * x * (1 - x)
        m, s = 0.9 * m + 0.1 * slope, 0.999 * s + 0.001 * slope**2
        mean, spread = m / (1 - 0.9 ** (k + 1)), s / (1 - 0.999 ** (k + 1))
        v = v - rate * mean / (np.sqrt(spread) + 1e-8)
      high = np.where(succeeded, np.minimum(high, weight), high)
      low = np.where(succeeded, low, np.maximum(low, weight))
      weight = np.where(np.isinf(high), 10 * weight, (low + high) / 2)
    self.assertTrue(np.isfinite(want).all())
    attack = attacks.cw_l2(L2(0.01), steps=steps, searches=searches, weight=0.05)
    self.compare(attack, want)


class DistancesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.images, self.labels, self.logits_fn, self.weights = linear(count=14)
    self.wrong = np.array(self.labels)
    self.wrong[3] = (self.wrong[3] + 1) % 4
    self.want = nearest(self.images, self.labels, self.weights, 'linf')

  def test_distances_of_a_linear_classifier(self):
    given = self.logits_fn, self.images, self.wrong, Linf(0.003)
    found, _ = quiet(minimum_norm, *given, batch_size=4)
    self.assertEqual(list(found.by_attack), ['fab_t', 'deepfool'])
    self.assertEqual(found.distance[3], 0)  # wrong without an attack
    rest = np.arange(14) != 3
    np.testing.assert_allclose(found.distance[rest], self.want[rest], rtol=6e-3)
    for eps in (0.0, 0.002, 0.004):
      right = rest & (found.distance > eps)
      self.assertEqual(found.robust_accuracy(eps), right.mean())
    curve = found.curve()
    self.assertEqual(curve[0], (0.0, 13 / 14))
    self.assertEqual(curve[-1][1], 0)
    self.assertLen(curve, 14)  # 0, and one step for each other image
    self.assertAlmostEqual(found.median, np.median(found.distance))
    # Batches and devices change no distance.
    again, _ = quiet(minimum_norm, *given, batch_size=64)
    np.testing.assert_allclose(found.distance, again.distance, rtol=1e-5, atol=1e-6)

  def test_what_other_attacks_prove(self):
    given = self.logits_fn, self.images, self.wrong, Linf(0.003)
    found, _ = quiet(minimum_norm, *given, attacks=['deepfool'])
    broken = np.ones(14, bool)
    bound = found.bounded('pgd', broken, 0.001)
    self.assertEqual(bound.robust_accuracy(0.001), 0)
    self.assertLess(found.distance[3], 1e-9)
    np.testing.assert_array_less(bound.distance, found.distance + 1e-9)
    told = bound.as_dict()['attacks']['pgd']
    self.assertEqual((told['tried'], told['found']), (13, 13))

  def test_a_proof_holds_at_its_radius_in_every_precision(self):
    none = np.full(14, np.inf, np.float32)
    for eps in (8 / 255, 0.1, 0.3, 2 / 255):
      given = self.logits_fn, self.images, self.labels, Linf(0.003)
      found, _ = quiet(minimum_norm, *given, attacks={'far': attacks.deepfool(Linf(0.1))})
      found = dataclasses.replace(found, by_attack={'far': none})
      found = found.bounded('pgd', np.ones(14, bool), eps)
      for number in (eps, np.float64(eps), np.float32(eps), np.linspace(0, eps, 3)[2]):
        self.assertEqual(found.robust_accuracy(number), 0)
      self.assertLessEqual(found.curve()[-1][0], eps)
      # So does what an attack found there.
      there = np.full(14, eps, np.float32)
      at_the_border = dataclasses.replace(found, by_attack={'far': there})
      self.assertEqual(at_the_border.robust_accuracy(eps), 0)
      # What found nothing is nowhere the nearest.
      self.assertEqual(found.as_dict()['attacks']['far']['nearest'], 0)

  @parameterized.parameters(
    ('ddn', dict(steps=60)), ('deepfool', dict(steps=20)), ('fab_t', dict(steps=20))
  )
  def test_what_a_second_look_refutes_has_a_distance(self, name, options):
    def noisy(images, keys):
      noise = jax.vmap(lambda k: jax.random.normal(k, images.shape[1:]))(keys)
      return self.logits_fn(images + 0.02 * noise)

    asked = attacks.Randomised(noisy)
    made = {name: ATTACKS[name](L2(0.5), **options)}
    given = asked, self.images, self.labels, L2(0.5)
    found, _ = quiet(minimum_norm, *given, attacks=made, check=False)
    self.assertGreater(found.unconfirmed[name], 0)
    self.assertTrue(np.isfinite(found.distance).all())
    self.assertGreater(found.distance[found.clean_correct].min(), 0)

  def test_what_lies_on_the_boundary_has_distance_0(self):
    # As where the search rounds the other way: it takes clean images for adversarial.
    search = to_the_end(attacks.ddn(L2(0.5), steps=5), 4, L2(0.5))
    given = self.logits_fn, self.images, self.labels, search
    found, _ = quiet(attack_images, *given, search_logits_fn=lambda x: -self.logits_fn(x))
    self.assertTrue(found.clean_correct.all())
    np.testing.assert_array_equal(found.distance, 0)

  def test_what_a_second_look_finds_even_more_right_has_its_distance(self):
    search = to_the_end(attacks.deepfool(L2(0.5), steps=5), 4, L2(0.5))
    given = self.logits_fn, self.images, self.labels, search
    found, _ = quiet(attack_images, *given, search_logits_fn=lambda x: -self.logits_fn(x))
    self.assertGreater(found.distance.min(), 0)
    self.assertTrue(np.isfinite(found.distance).all())

  def test_a_file_of_another_norm_is_not_read(self):
    path = tiny.folder(self) / 'far.npz'
    same = {'deepfool': attacks.deepfool(L2(0.5))}
    given = self.logits_fn, self.images, self.labels
    quiet(minimum_norm, *given, L2(0.5), attacks=same, path=path)
    found, said = quiet(minimum_norm, *given, Linf(0.1), attacks=same, path=path)
    self.assertNotIn('these are read', said)
    fresh, _ = quiet(minimum_norm, *given, Linf(0.1), attacks=same)
    np.testing.assert_array_equal(found.distance, fresh.distance)

  @parameterized.parameters(
    ('ddn', dict(steps=1), 'attack.steps is 1; .* at least 2'),
    ('ddn', dict(length=0), 'attack.length is 0; it must be above 0'),
    ('ddn', dict(gamma=0), 'attack.gamma is 0; it must lie between 0 and 1'),
    ('ddn', dict(gamma=1), 'attack.gamma is 1; it must lie between 0 and 1'),
    ('ddn', dict(steps=20, length=0.1), 'grows to 0.253, less than .*give 34 steps'),
    ('cw_l2', dict(steps=1), 'attack.steps is 1; .* at least 2'),
    ('cw_l2', dict(step_size=0), 'attack.step_size is 0; it must be above 0'),
    ('cw_l2', dict(weight=0), 'attack.weight is 0; it must be above 0'),
    ('cw_l2', dict(searches=3), 'to 0.1 at most, too little .*give more searches'),
  )
  def test_settings_that_break_nothing(self, name, options, message):
    with self.assertRaisesRegex(InputError, message):
      ATTACKS[name](L2(0.5), **options)

  @parameterized.parameters(
    ('ddn', 'l2', {}), ('deepfool', 'l2', {}), ('fab_t', 'linf', dict(steps=30))
  )
  def test_transferred_images_lie_on_the_border_of_the_ball(self, name, norm, options):
    ball = NORMS[norm](2 * float(np.median(self.want)) * (1 + 9 * (norm == 'l2')))
    attack = ATTACKS[name](ball, **options)
    other = lambda x: 1.5 * self.logits_fn(x)
    given = self.logits_fn, self.images, self.labels
    found, _ = quiet(attack_images, *given, attack, surrogate=other)
    far = np.asarray(ball.norm(found.images - self.images)).ravel()
    np.testing.assert_allclose(far[~found.robust], ball.eps, rtol=1e-3)
    self.assertGreater((~found.robust).sum(), 2)

  def test_marks(self):
    def broken(x):
      return self.logits_fn(x) + jnp.where(x.mean() > 2, jnp.nan, 0)

    given = broken, self.images, self.labels, L2(0.5)
    found, _ = quiet(minimum_norm, *given, attacks=['ddn'])
    self.assertNotIn('*', repr(found))
    found.not_finite['ddn'] = 2
    self.assertIn('by ddn* (* met what is no number', repr(found))

  def test_nothing_found_is_no_distance(self):
    def blind(x):
      return jnp.broadcast_to(jnp.arange(4.0), (len(x), 4)) + 0 * x.sum()

    labels = np.full(4, 3)
    found, said = quiet(
      minimum_norm, blind, self.images[:4], labels, L2(0.1), attacks=['ddn']
    )
    self.assertTrue(np.isinf(found.distance).all())
    told = found.as_dict()
    self.assertIsNone(told['median'])
    self.assertEqual(told['attacks']['ddn']['found'], 0)
    self.assertEqual(told['curve'], [(0.0, 1.0)])
    self.assertIn('the gradient is zero on', said)

  def test_goes_on_where_it_was(self):
    path = tiny.folder(self) / 'far.npz'
    given = self.logits_fn, self.images, self.wrong, Linf(0.003)
    first, _ = quiet(minimum_norm, *given, attacks=['deepfool'], path=path)
    again, said = quiet(minimum_norm, *given, attacks=['deepfool'], path=path)
    self.assertIn('far-deepfool.npz: has verdicts of the same', said)
    np.testing.assert_array_equal(first.distance, again.distance)

  @parameterized.parameters(('pgd', Linf(0.1)), ('nothing', Linf(0.1)))
  def test_what_measures_no_distance(self, name, threat):
    with self.assertRaisesRegex(InputError, f"'{name}' is no such attack: .*give fab"):
      minimum_norm(self.logits_fn, self.images, self.wrong, threat, attacks=[name])

  @parameterized.parameters('ddn', 'cw_l2')
  def test_what_searches_in_l2(self, name):
    with self.assertRaisesRegex(InputError, 'searches in L2, and the ball is Linf'):
      ATTACKS[name](Linf(0.1))

  def test_deepfool_in_l1(self):
    with self.assertRaisesRegex(InputError, 'known for L2 and Linf'):
      attacks.deepfool(attacks.L1(2.0))


class RadiiTest(parameterized.TestCase):
  def test_as_one_ball_after_the_other(self):
    images, labels, logits_fn, _ = linear(count=16)
    balls = [Linf(eps) for eps in (0.008, 0.002, 0.004)]
    found, _ = quiet(attack_radii, logits_fn, images, labels, attacks.pgd, balls)
    self.assertEqual([ball.eps for ball in found.threats], [0.002, 0.004, 0.008])
    for ball, robust in zip(found.threats, found.robust):
      alone, _ = quiet(attack_images, logits_fn, images, labels, attacks.pgd(ball))
      # In a larger ball, what a smaller one broke is not tried again.
      np.testing.assert_array_equal(robust & alone.robust, robust)
      np.testing.assert_array_equal(robust, alone.robust)
    self.assertEqual(found.accuracy, sorted(found.accuracy, reverse=True))
    self.assertGreater(found.accuracy[0], found.accuracy[-1])
    self.assertEqual(found.doubtful, (0, 0, 0))

  def test_an_attack_that_leaves_the_ball_is_marked(self):
    images, labels, logits_fn, _ = linear(count=6)

    def leaves(key, logits_fn, images, labels):
      return images + 0.5

    balls = [Linf(0.01), Linf(0.02)]
    found, _ = quiet(attack_radii, logits_fn, images, labels, lambda _: leaves, balls)
    self.assertEqual(found.doubtful, (6, 6))
    self.assertIn('100.00 %* (* the attack met what is no number, or left', repr(found))

  @parameterized.parameters(
    ([], 'give balls of one norm'),
    ([Linf(0.1), L2(0.5)], 'Linf.*, L2.*give balls of one norm'),
  )
  def test_balls_that_are_none(self, balls, message):
    images, labels, logits_fn, _ = linear(count=4)
    with self.assertRaisesRegex(InputError, message):
      attack_radii(logits_fn, images, labels, attacks.pgd, balls)

  def test_an_attack_that_is_made(self):
    images, labels, logits_fn, _ = linear(count=4)
    with self.assertRaisesRegex(InputError, 'give a function of the ball, such as'):
      attack_radii(logits_fn, images, labels, attacks.pgd(Linf(0.1)), [Linf(0.1)])

  def test_columns(self):
    config = tiny.config('sat')
    config.evaluation.attacks = dict(fgsm={}, fog={})
    found = with_radii(columns(['pgd_7', 'fog'], config), ['4/255', '0.1'])
    self.assertEqual(list(found), ['pgd_7', 'fog', 'pgd_7_eps_4_255', 'pgd_7_eps_0_1'])
    want = {'name': 'pgd', 'steps': 7, 'eps': 4 / 255}
    self.assertEqual(found['pgd_7_eps_4_255'], want)
    for radii, message in (
      (['4'], None),
      (['far'], "'far'; give radii above 0"),
      (['0'], "'0'; give radii above 0"),
      (['0.1', '1e-1'], 'twice'),
    ):
      if message:
        with self.assertRaisesRegex(InputError, message):
          with_radii(found, radii)
    with self.assertRaisesRegex(InputError, 'needs a column with a ball'):
      with_radii(columns(['fog'], config), ['0.1'])


class ConfigTest(parameterized.TestCase):
  @parameterized.parameters(('pgd',), ('fog',), ('none',))
  def test_a_column_that_measures_no_distance(self, name):
    config = tiny.config('sat')
    config.evaluation.distances.attacks = (name,)
    with self.assertRaisesRegex(
      InputError, f"config.evaluation.distances.attacks.*'{name}' is no such attack"
    ):
      experiment.resolve(config)


if __name__ == '__main__':
  absltest.main()
