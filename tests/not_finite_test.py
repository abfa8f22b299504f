"""Slopes and numbers that are none: stepped over, counted, marked, never robust in silence."""

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized
from cascade_test import digits, linear_digits

from jaxrkd import attacks
from jaxrkd.attacks import ATTACKS, L1, L2, UNFORESEEN, Linf
from jaxrkd.attacks.slopes import finite
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, results, trust_panel
from jaxrkd.methods import INNERS
from jaxrkd.report import run_page
from jaxrkd.train.attack import adversarial_images

KEY = jax.random.key(0)
# Attacks that follow slopes, short.
SLOPES = {
  'fgsm': {},
  'pgd': {},
  'pgd_trades': {},
  'cw_inf': {},
  'svgd': dict(particles=2),
  'apgd_ce': dict(steps=20),
  'apgd_dlr': dict(steps=20),
  'apgd_t': dict(steps=10, targets=3),
  'fab': dict(steps=10),
  'fab_t': dict(steps=10, targets=3),
  'deepfool': dict(steps=10),
  'ddn': dict(steps=20),
}


def rooted(x):
  """A root before the classifier: at a black pixel its slope is infinite."""
  return linear_digits(jnp.sqrt(x))


def logarithm(x):
  """0 log 0 written out: the value is masked to 0, the slope is not a number."""
  entropy = jnp.where(x > 0, x * jnp.log(x), 0.0)
  return linear_digits(x) + 0.1 * entropy.sum((1, 2, 3))[:, None]


def standardised(x):
  """By the deviation of each image, whose slope at an even image is not a number."""
  away = x - x.mean((1, 2, 3), keepdims=True)
  deviation = jnp.sqrt((away**2).mean((1, 2, 3), keepdims=True))
  return linear_digits(away / jnp.maximum(deviation, 1e-3))


# Two networks whose slopes are none somewhere, and the same in another spelling.
SPELLINGS = (
  rooted,
  logarithm,
  lambda x: linear_digits(jnp.sqrt(x + 1e-10)),
  linear_digits,
)


def spelt(number):
  """One of `SPELLINGS`, as a function whose code is that of all: compiled once."""
  chosen = jnp.asarray([number])  # a number alone would be part of the code
  return lambda x: jax.lax.switch(chosen[0], SPELLINGS, x)


def _ball(name, number):
  if name in tiny.L2_ONLY or name == 'deepfool':
    return L2(1.0)
  return (Linf(0.1), L2(1.0), L1(4.0))[number % 3]


class AttackTest(parameterized.TestCase):
  @parameterized.parameters(
    *((name, _ball(name, k)) for k, name in enumerate(SLOPES)),
    *((name, L2(1.0)) for name in ('fgsm', 'pgd', 'fab_t')),
  )
  def test_slopes_at_black_pixels(self, name, norm):
    images, _, _ = digits()
    images = images[:12]
    attack = ATTACKS[name](norm, **SLOPES[name])
    for network, smooth in ((spelt(0), spelt(2)), (spelt(1), spelt(3))):
      labels = np.asarray(network(jnp.asarray(images)).argmax(-1))
      found = attack_images(network, images, labels, attack, threat=norm)
      self.assertEqual(found.clean_accuracy, 1)
      self.assertEqual(found.stages[_only(found)]['not_finite'], 12)
      self.assertTrue(np.isfinite(found.images).all())
      # The same function in another spelling, whose slopes are numbers.
      want = attack_images(smooth, images, labels, attack, threat=norm)
      # What begins at the clean image has no way to pixels whose slope is not a number.
      more = 0.34 if name in ('fgsm', 'fab', 'fab_t') else 0.17
      self.assertLessEqual(found.robust_accuracy, want.robust_accuracy + more)
      self.assertLess(found.robust_accuracy, 0.84)
      self.assertEqual(want.stages[_only(want)]['not_finite'], 0)

  @parameterized.parameters('elastic', 'frank_wolfe_l1')
  def test_attacks_without_a_ball(self, name):
    images, _, _ = digits()
    images = images[:4]
    attack = UNFORESEEN[name](steps=3)
    labels = np.asarray(rooted(jnp.asarray(images)).argmax(-1))
    found = attack_images(rooted, images, labels, attack)
    self.assertTrue(np.isfinite(found.images).all())
    self.assertGreater(found.stages['attack']['not_finite'], 0)

  def test_infinite_slopes_keep_their_sign(self):
    slope, broken = finite(jnp.array([[jnp.nan, 1.0, jnp.inf], [1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(slope, [[0, 1, 1], [1, 2, 3]])
    np.testing.assert_array_equal(broken, [True, False])
    slope, broken = finite({'a': jnp.array([-jnp.inf]), 'b': jnp.array([[2.0]])})
    np.testing.assert_array_equal(slope['a'], [-1])
    np.testing.assert_array_equal(broken, [True])

  @parameterized.parameters('pgd', 'adam', 'svgd', 'svgd_paper')
  def test_training_attacks(self, name):
    """Through the inner problem of a training step, on a network with a root."""
    images, labels, _ = digits()
    images, labels = jnp.asarray(images[:4]), jnp.asarray(labels[:4])

    class Net:
      def logits_fn(self, params, stats):
        del params, stats
        return rooted

    batch = {
      'image': images,
      'label': labels,
      'key': attacks.example_keys(KEY, jnp.arange(4)),
    }
    search = attacks.SEARCHES[name](Linf(0.1), steps=12, start='none')
    made, _, _ = adversarial_images(
      Net(), ({}, {}), INNERS['ce'](), {}, batch, search, 'eval'
    )
    self.assertTrue(bool(jnp.isfinite(made).all()))
    ce = attacks.objectives.cross_entropy(rooted, labels)
    self.assertTrue(bool(jnp.all(ce(made) > ce(images))))

  def test_even_images_are_marked_where_they_stay(self):
    """FGSM has no slope at all there; PGD starts beside it and finds what there is."""
    images = np.full((8, 8, 8, 1), 0.5, np.float32)
    labels = np.asarray(standardised(jnp.asarray(images)).argmax(-1))
    threat = Linf(0.3)
    stays = attack_images(standardised, images, labels, attacks.fgsm(threat))
    self.assertEqual(stays.robust_accuracy, 1)
    self.assertEqual(stays.stages['attack']['not_finite'], 8)
    moves = attack_images(standardised, images, labels, attacks.pgd(threat))
    self.assertEqual(moves.robust_accuracy, 0)


def _only(found):
  (name,) = found.about['attacks']
  return name


class LogitsTest(parameterized.TestCase):
  @parameterized.parameters(
    'pgd', 'cw_inf', 'apgd_ce', 'apgd_dlr', 'apgd_t', 'fab', 'fab_t'
  )
  def test_masked_classes_are_those_of_a_classifier_without_them(self, name):
    images, labels, _ = digits()
    rows = labels < 8
    images, labels = images[rows], labels[rows]

    def masked(x):
      return jnp.where(jnp.arange(10) < 8, linear_digits(x), -jnp.inf)

    attack = ATTACKS[name](Linf(0.1), **SLOPES[name])
    found = attack_images(masked, images, labels, attack)
    want = attack_images(lambda x: linear_digits(x)[:, :8], images, labels, attack)
    self.assertEqual(found.clean_accuracy, want.clean_accuracy)
    self.assertAlmostEqual(found.robust_accuracy, want.robust_accuracy, delta=0.05)
    self.assertLess(found.robust_accuracy, found.clean_accuracy - 0.1)
    self.assertEqual(found.stages[_only(found)]['not_finite'], 0)

  @parameterized.parameters(
    (np.nan,),
    (np.inf,),
  )
  def test_answers_that_are_none_are_refused_on_clean_images(self, value):
    images, labels, _ = digits()

    def broken(x):
      return jnp.where(jnp.arange(10) == 3, value, linear_digits(x))

    with self.assertRaisesRegex(InputError, 'not finite numbers on .* of '):
      attack_images(broken, images, labels, attacks.fgsm(Linf(0.1)))

  def test_no_class_at_all_is_no_answer(self):
    images, labels, _ = digits()
    nothing = lambda x: linear_digits(x) - jnp.inf
    with self.assertRaisesRegex(InputError, 'not finite numbers'):
      attack_images(nothing, images, labels, attacks.fgsm(Linf(0.1)))

  @parameterized.parameters(np.nan, np.inf)
  def test_answers_that_stop_under_attack_are_not_robust(self, value):
    """Right and sure on every clean image, no number for its class a little beside it."""
    images, _, _ = digits()
    labels = np.asarray(linear_digits(jnp.asarray(images)).argmax(-1))
    clean = jnp.asarray(images)

    def brittle(x):
      away = jnp.min(jnp.max(jnp.abs(x[:, None] - clean[None]), (2, 3, 4)), 1)
      logits = 100 * linear_digits(x)
      own = jax.nn.one_hot(logits.argmax(-1), 10, dtype=bool)
      return jnp.where(own & (away > 0.02)[:, None], value, logits)

    found = attack_images(brittle, images, labels, attacks.pgd(Linf(0.05)))
    self.assertEqual((found.clean_accuracy, found.robust_accuracy), (1, 0))
    self.assertEqual(found.stages['attack']['not_finite'], len(images))

  def test_an_image_that_becomes_no_number_is_marked(self):
    images, labels, _ = digits()

    def spoils(key, logits_fn, x, y):
      del key, logits_fn, y
      return x.at[:, 0, 0].set(jnp.nan)

    found = attack_images(linear_digits, images, labels, spoils)
    self.assertEqual(found.robust_accuracy, found.clean_accuracy)
    self.assertEqual(found.stages['attack']['not_finite'], int(found.clean_correct.sum()))

  def test_a_loss_of_ones_own_that_is_no_number_is_not_the_best(self):
    """At the clean image, where the search begins; beside it there are better ones."""
    images, _, _ = digits()
    images = jnp.asarray(images)
    labels = linear_digits(images).argmax(-1)
    ce = attacks.objectives.cross_entropy(linear_digits, labels)

    def objective(logits_fn, labels):
      del logits_fn, labels

      def value(x):
        still = jnp.all(x == images, axis=(1, 2, 3))
        return ce(x) + jnp.where(still, jnp.nan, 0.0)

      return value

    attack = attacks.apgd(Linf(0.004), loss=objective, steps=10, start='none')
    found = attack(KEY, linear_digits, images, labels)
    self.assertTrue(bool(jnp.all(ce(found) > ce(images))))


class MarkTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    images, _, _ = digits()
    labels = np.asarray(rooted(jnp.asarray(images)).argmax(-1))
    cls.given = (rooted, images, labels)
    cls.found = {
      'fgsm': attack_images(*cls.given, attacks.fgsm(Linf(0.01))),
      'square': attack_images(*cls.given, attacks.square(Linf(0.01), queries=5)),
    }
    cls.row = results.summarize(cls.found)

  def test_tables_and_pages(self):
    self.assertEqual(self.row['attacks']['fgsm']['not_finite'], 30)
    self.assertEqual(self.row['attacks']['square']['not_finite'], 0)
    text = results.table({'student': self.row})
    self.assertRegex(text, r'\d\d\.\d\d\*')
    self.assertIn(
      '* student, fgsm: gradients or logits were not finite on 30 images', text
    )
    self.assertNotIn('student, square:', text)
    page = run_page.page(
      run_page.Content(
        title='t',
        lead='',
        about='',
        rows={'x': self.row},
        stands='x',
        found={'selection': {'note': 'n'}},
      )
    )
    self.assertIn('* x, fgsm: gradients or logits were not finite on 30 images', page)

  def test_a_check_warns(self):
    # Without verdicts by its own look, with them by what the table's attacks met.
    for verdicts in (None, {'fgsm': self.found['fgsm']}):
      panel = trust_panel(*self.given, Linf(0.01), count=10, verdicts=verdicts)
      status = {c.name: c for c in panel.checks}
      self.assertEqual(status['slopes not finite'].status, 'fail')
      self.assertEqual(status['slopes not finite'].value, 100)


if __name__ == '__main__':
  absltest.main()
