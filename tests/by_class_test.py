"""Verdicts class by class, against loops over images."""

import collections

import numpy as np
from absl.testing import absltest

from jaxrkd.evaluate import by_class, results
from jaxrkd.evaluate.confidence import wilson
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.report import confusion

CLASSES, COUNT = 4, 200


def drawn(seed, label, clean):
  """Verdicts of an attack that breaks about half of the images that are right."""
  rng = np.random.default_rng(seed)
  right = clean == label
  robust = right & (rng.random(COUNT) < 0.5)
  other = (label + rng.integers(1, CLASSES, COUNT)) % CLASSES
  taken = np.where(right & ~robust, other, np.where(right, label, clean))
  no, zeros = np.zeros((COUNT, 1), bool), np.zeros(COUNT)
  return Verdicts(
    index=np.arange(COUNT),
    label=label,
    clean_prediction=clean,
    clean_margin=zeros,
    adversarial_prediction=taken,
    margin=zeros,
    clean_correct=right,
    robust=robust,
    stage=np.where(right & ~robust, 0, -1),
    reached=np.zeros(COUNT, int),
    queries=np.ones(COUNT, int),
    not_finite=no,
    outside=no,
    about=dict(
      attacks=['x'], seconds={'x': 0.0}, runs={'x': 1}, search_robust=None, refuted=None
    ),
  )


class ByClassTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    # Class 2 has no images, and the last one few.
    self.label = rng.choice([0, 1, 3], COUNT, p=[0.5, 0.45, 0.05])
    self.clean = np.where(
      rng.random(COUNT) < 0.8, self.label, rng.integers(0, CLASSES, COUNT)
    )
    self.verdicts = {k: drawn(n, self.label, self.clean) for n, k in enumerate('ab', 1)}
    self.found = results.summarize(self.verdicts)

  def test_counts(self):
    counts, found = self.found['per_class'], self.found
    self.assertEqual(sum(counts['images']), COUNT)
    self.assertAlmostEqual(sum(counts['clean']) / COUNT, found['clean'])
    self.assertAlmostEqual(sum(counts['worst_case']) / COUNT, found['worst_case'])
    for name, own in self.verdicts.items():
      self.assertEqual(sum(counts['attacks'][name]), own.robust.sum())
      for k in range(CLASSES):
        want = sum(r for r, label in zip(own.robust, self.label) if label == k)
        self.assertEqual(counts['attacks'][name][k], want)

  def test_the_weakest_class(self):
    worst = self.found['worst_class']
    a, b = self.verdicts.values()
    shares = {
      k: np.mean((a.robust & b.robust)[self.label == k]) for k in set(self.label.tolist())
    }
    self.assertEqual(worst['worst_case'], min(shares.values()))
    self.assertEqual(shares[worst['class']], min(shares.values()))
    here = self.label == worst['class']
    self.assertEqual(worst['images'], here.sum())
    self.assertAlmostEqual(worst['clean'], np.mean(a.clean_correct[here]))
    right = int((a.robust & b.robust)[here].sum())
    self.assertEqual(worst['interval'], list(wilson(right, int(here.sum()))))

  def test_confusion(self):
    want = collections.Counter()
    for k in range(COUNT):
      taken = self.clean[k]
      for found in self.verdicts.values():
        if taken == self.label[k] and not found.robust[k]:
          taken = found.adversarial_prediction[k]
          break
      want[int(self.label[k]), int(taken)] += 1
    got = {(a, b): n for a, b, n in self.found['confusion']['worst_case']}
    self.assertEqual(got, dict(want))
    clean = {(a, b): n for a, b, n in self.found['confusion']['clean']}
    self.assertEqual(sum(clean.values()), COUNT)
    self.assertEqual(
      sum(n for (a, b), n in clean.items() if a == b), (self.clean == self.label).sum()
    )
    # What is on the diagonal is what withstands.
    right = [sum(n for (a, b), n in got.items() if a == b == k) for k in range(CLASSES)]
    self.assertEqual(right, self.found['per_class']['worst_case'])

  def test_no_numbers_are_no_class(self):
    """An image whose logits are not finite is broken, though argmax may name its class."""
    found = self.verdicts['a']
    found.adversarial_prediction[:] = self.label
    pairs = by_class.confusion({'a': found})['worst_case']
    right = sum(n for a, b, n in pairs if a == b)
    self.assertEqual(right, found.robust.sum())
    self.assertGreater(sum(n for _, b, n in pairs if b == by_class.NOTHING), 0)

  def test_words(self):
    told = results.weakest(self.found, ['w', 'x', 'y', 'z'])
    worst = self.found['worst_class']
    self.assertIn(f'weakest class: {"wxyz"[worst["class"]]}, ', told)
    self.assertIn(f'{100 * worst["worst_case"]:.2f} worst', told)
    self.assertIn('class ', results.weakest(self.found))
    old = {k: v for k, v in self.found.items() if k != 'worst_class'}
    self.assertEqual(results.weakest(old), '')

  def test_part_of_a_page(self):
    name = lambda number: f'<{number}>'
    images = self.found['per_class']['images']
    shown = ''.join(confusion.section(self.found['confusion'], images, name))
    self.assertIn('&lt;3&gt;', shown)
    share = 100 * self.found['per_class']['worst_case'][0] / images[0]
    self.assertIn(f'<strong>{share:.0f}</strong>', shown)
    with absltest.mock.patch.object(confusion, 'MATRIX', 2):
      shown = ''.join(confusion.section(self.found['confusion'], images, name))
    wrong = [p for p in self.found['confusion']['worst_case'] if p[0] != p[1]]
    first = max(wrong, key=lambda pair: pair[2])
    self.assertIn(f'{first[2]} of {images[first[0]]}', shown)
    right = dict(worst_case=[[0, 0, 5]])
    self.assertEqual(confusion.section(right, [5], name), [])


if __name__ == '__main__':
  absltest.main()
