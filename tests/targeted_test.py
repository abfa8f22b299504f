"""Attacks that must reach a class, and objectives that see the clean images."""

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import attacks, experiment
from jaxrkd.attacks import Aim, Linf, objectives
from jaxrkd.attacks.stepwise import possible, ranked_targets
from jaxrkd.errors import InputError
from jaxrkd.evaluate import attack_images, results
from jaxrkd.evaluate.verdicts import Verdicts

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.3, 0.7, (60, 6, 6, 1)).astype(np.float32)
WEIGHTS = jnp.asarray(RNG.normal(size=(36, 4)), jnp.float32)
LOGITS = lambda x: x.reshape(len(x), -1) @ WEIGHTS
LABELS = np.asarray(LOGITS(IMAGES)).argmax(-1)


def reachable(eps, targets):
  """Which images can be taken for their target within eps: a two-class linear question.

  Raising z_t - z_y to its largest value is what moving each pixel by eps along the sign of
  its weight does; the target must also be above the other classes there.
  """
  found = []
  for x, y, t in zip(IMAGES, LABELS, targets):
    slope = np.asarray(WEIGHTS[:, t] - WEIGHTS[:, y])
    moved = x.ravel() + eps * np.sign(slope)
    found.append(np.asarray(moved @ WEIGHTS).argmax() == t)
  return np.array(found)


class AimTest(parameterized.TestCase):
  @parameterized.parameters(
    ('least_likely', [1, 0]), ('most_likely', [2, 1]), ('next', [1, 0]), (1, [1, 1])
  )
  def test_classes(self, which, want):
    logits = jnp.array([[3.0, 0.0, 2.0], [0.0, 1.0, 5.0]])
    labels = jnp.array([0, 2])
    ranked = ranked_targets(logits, labels)
    found = Aim(which).classes(ranked, labels, jnp.array([2, 2]))
    np.testing.assert_array_equal(found, want)

  def test_images_of_the_class_itself_have_no_target(self):
    ranked, labels = jnp.array([[1, 2], [0, 2]]), jnp.array([0, 1])
    both = jnp.array([2, 2])
    np.testing.assert_array_equal(Aim('1').classes(ranked, labels, both), [1, -1])
    self.assertEqual(Aim(np.int64(1)), Aim(1))
    with self.assertRaisesRegex(InputError, 'class 3, but there are 3 classes'):
      Aim(3).classes(ranked, labels, both)

  def test_masked_classes_are_no_targets(self):
    logits = jnp.array([[1.0, 0.0, -jnp.inf, 3.0], [-jnp.inf, 2.0, 1.0, -jnp.inf]])
    labels = jnp.array([3, 1])
    ranked, there = ranked_targets(logits, labels), possible(logits, labels)
    np.testing.assert_array_equal(there, [2, 1])
    for which, want in (
      ('least_likely', [1, 2]),
      ('most_likely', [0, 2]),
      ('next', [0, 2]),
      (2, [-1, 2]),
      (0, [0, -1]),
    ):
      found = Aim(which).classes(ranked, labels, there)
      np.testing.assert_array_equal(found, want, str(which))
    self.assertNotIn(3, np.asarray(ranked[0]))
    masked = lambda x: LOGITS(x).at[:, 3].set(-jnp.inf)
    right = np.asarray(masked(IMAGES)).argmax(-1)
    found = attack_images(masked, IMAGES, right, attacks.targeted_pgd(Linf(0.15)))
    self.assertFalse(np.any(found.target == right))
    self.assertFalse(np.any(found.target == 3))

  @parameterized.parameters('least_likly', -1, 1.5, True, '²')
  def test_mistakes(self, which):
    with self.assertRaisesRegex(InputError, 'attack.target is.*least_likely'):
      Aim(which)


class SuccessTest(parameterized.TestCase):
  @parameterized.parameters('least_likely', 'most_likely', 'next', 2)
  def test_share_that_reaches_the_target(self, target):
    """Hardly less than what reaches it for certain, and never what is not its class."""
    attack = attacks.targeted_pgd(Linf(0.15), target=target, steps=40)
    found = attack_images(LOGITS, IMAGES, LABELS, attack)
    ranked = ranked_targets(LOGITS(IMAGES), jnp.asarray(LABELS))
    there = jnp.full(len(LABELS), 3)
    targets = np.asarray(Aim(target).classes(ranked, jnp.asarray(LABELS), there))
    np.testing.assert_array_equal(found.target, targets)
    tried = targets >= 0
    seen = np.asarray(LOGITS(found.images)).argmax(-1)
    share = (seen == targets)[tried].mean()
    self.assertAlmostEqual(found.reached_target, share)
    self.assertGreaterEqual(share, reachable(0.15, targets)[tried].mean() - 0.04)
    self.assertLess(np.mean(reachable(0.0, targets)[tried]), 0.01)
    # What leaves its class for any other is broken, as everywhere.
    np.testing.assert_array_equal(found.robust, seen == LABELS)

  def test_others_have_none(self):
    found = attack_images(LOGITS, IMAGES, LABELS, attacks.fgsm(Linf(0.1)))
    self.assertIsNone(found.target)
    self.assertIsNone(found.reached_target)
    self.assertNotIn('reached_target', results.summarize({'a': found})['attacks']['a'])

  def test_kept_in_a_file(self):
    path = tiny.folder(self) / 'v.npz'
    given = (LOGITS, IMAGES, LABELS, attacks.targeted_pgd(Linf(0.1)))
    first = attack_images(*given, path=path)
    again = attack_images(*given, path=path)
    self.assertIsInstance(again, Verdicts)
    np.testing.assert_array_equal(first.target, again.target)
    self.assertEqual(first.reached_target, again.reached_target)

  def test_with_restarts_and_from_another_network(self):
    attack = attacks.targeted_pgd(Linf(0.15), restarts=3)
    self.assertIsNotNone(attack_images(LOGITS, IMAGES, LABELS, attack).reached_target)
    other = lambda x: LOGITS(x) + 0.1
    moved = attack_images(LOGITS, IMAGES, LABELS, attack, surrogate=other)
    self.assertIsNotNone(moved.reached_target)

  def test_a_column_of_a_run(self):
    made = tiny.config('natural', teachers=[])
    made.evaluation.attacks = dict(
      fgsm=dict(),
      least=dict(name='targeted_pgd', steps=20),
      two=dict(name='targeted_pgd'),
    )
    made = experiment.resolve(made, ['evaluation.attacks.two.target=2'])
    workdir = tiny.folder(self) / 'run'
    found = experiment.train_and_evaluate(made, workdir)['student']['best']
    for column in ('least', 'two'):
      share = found['attacks'][column]['reached_target']
      self.assertBetween(share, 0, 1)
      said = f'{column}: {100 * share:.2f} % of the images that were right'
      self.assertIn(said, results.table({'student': found}))
      self.assertIn(said, (workdir / 'report.html').read_text())
    self.assertNotIn('reached_target', found['attacks']['fgsm'])


class CleanImagesTest(parameterized.TestCase):
  def test_an_objective_that_sees_them(self):
    """Given to an attack and to APGD: it is told the images that the attack began at."""
    seen = []

    def stay(logits_fn, labels, clean):
      def values(images):
        jax.debug.callback(lambda x: seen.append(np.array(x)), clean)
        near = -jnp.square(images - clean).sum((1, 2, 3))
        return near + 0 * logits_fn(images)[:, 0]

      return values

    search = attacks.pgd_search(Linf(0.1), steps=8)
    for attack in (
      attacks.base.Attack(search, stay),
      attacks.apgd(Linf(0.1), loss=stay, steps=8, start='uniform'),
    ):
      found = attack(jax.random.key(0), LOGITS, IMAGES[:4], LABELS[:4])
      jax.effects_barrier()
      np.testing.assert_array_equal(seen[-1], IMAGES[:4])
      begun = search(
        jax.random.key(0), lambda x: 0 * x.sum((1, 2, 3)), jnp.asarray(IMAGES[:4])
      )
      far = lambda x: float(jnp.square(x - IMAGES[:4]).sum())
      self.assertLess(far(found), 0.5 * far(begun))

  def test_two_or_three_arguments(self):
    clean, labels = jnp.asarray(IMAGES[:2]), jnp.asarray(LABELS[:2])
    plain = objectives.of_images(objectives.cross_entropy, LOGITS, labels, clean)
    want = objectives.cross_entropy(LOGITS, labels)(clean)
    np.testing.assert_array_equal(plain(clean), want)
    kappa = objectives.of_images(objectives.cw_margin, LOGITS, labels, clean)
    np.testing.assert_array_equal(
      kappa(clean), objectives.cw_margin(LOGITS, labels)(clean)
    )
    three = lambda logits_fn, labels, clean: (
      lambda images: (images - clean).sum((1, 2, 3))
    )
    values = objectives.of_images(three, LOGITS, labels, clean)(clean + 1)
    np.testing.assert_allclose(values, 36, rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
