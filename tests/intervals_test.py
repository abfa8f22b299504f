"""Intervals of differences, against textbook values and simulated coverage."""

import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd.evaluate.intervals import OfImages, difference


def verdicts(*counts):
  """(100, n), (0, m) -> values of n + m images."""
  return np.concatenate([np.full(count, float(value)) for value, count in counts])


def of(values, place=None):
  return OfImages(values, np.arange(len(values)) if place is None else place)


def gap(mine, theirs):
  """Of one seed."""
  right = {0: float(theirs.value.mean())} if isinstance(theirs, OfImages) else {0: theirs}
  return difference({0: float(mine.value.mean())}, {0: mine}, right, {0: theirs})


class IntervalsTest(parameterized.TestCase):
  def test_seeds_are_paired(self):
    # Differences 1, 2, 3: mean 2, sd 1, t(2) = 4.303.
    left, right = dict(enumerate((11.0, 12.0, 13.0))), dict.fromkeys(range(3), 10.0)
    found = difference(left, {}, right, {})
    self.assertAlmostEqual(found.middle, 2)
    self.assertAlmostEqual(found.high - found.middle, 4.3027 / 3**0.5, places=4)
    self.assertEqual(found.over, '3 seeds')
    # t(11) = 2.201.
    left = {k: 10.0 + k % 2 for k in range(12)}
    found = difference(left, {}, dict.fromkeys(left, 10.0), {})
    want = 2.20099 * np.std([0, 1] * 6, ddof=1) / 12**0.5
    self.assertAlmostEqual(found.high - found.middle, want, places=4)

  def test_equal_seeds_tell_nothing_by_themselves(self):
    left = dict.fromkeys(range(3), 33.0)
    found = difference(left, {}, dict.fromkeys(range(3), 30.0), {})
    self.assertEqual(found.low, -np.inf)
    self.assertIsNone(difference({0: 1.0}, {}, {1: 1.0}, {}))

  @parameterized.parameters(
    # images right on the left only, on the right only; is the left the larger one?
    (4, 0, False),
    (5, 0, False),
    (6, 0, True),
    (9, 1, True),
    (8, 2, False),
    (0, 0, False),
    (40, 20, True),
    (40, 30, False),
  )
  def test_paired_verdicts_as_mcnemars_exact_test(self, more, less, larger):
    rest = 1000 - more - less
    left = of(verdicts((100, more), (0, less), (100, rest)))
    right = of(verdicts((0, more), (100, less), (100, rest)))
    found = gap(left, right)
    self.assertAlmostEqual(found.middle, (more - less) / 10)
    self.assertEqual(found.low > 0, larger)
    self.assertLessEqual(found.low, found.middle)
    self.assertGreaterEqual(found.high, found.middle)

  def test_against_a_number(self):
    # Clopper and Pearson's of 5 of 5: 47.8 % to 100 %.
    found = gap(of(verdicts((100, 5))), 99.0)
    self.assertAlmostEqual(found.low, 47.82 - 99, places=2)
    self.assertAlmostEqual(found.high, 1.0)
    found = gap(of(verdicts((100, 1000))), 99.0)
    self.assertAlmostEqual(found.low, 100 * 0.025 ** (1 / 1000) - 99, places=6)

  def test_other_images_are_two_samples(self):
    rng = np.random.default_rng(0)
    left, right = rng.normal(1.0, 1.0, 400), rng.normal(0.0, 2.0, 400)
    found = gap(of(left), of(right, np.arange(400, 800)))
    error = (left.var(ddof=1) / 400 + right.var(ddof=1) / 400) ** 0.5
    self.assertAlmostEqual((found.high - found.low) / 2, 1.966 * error, places=3)
    paired = gap(of(left), of(right))
    error = (left - right).std(ddof=1) / 20
    self.assertAlmostEqual((paired.high - paired.low) / 2, 1.966 * error, places=3)

  def test_coverage(self):
    rng = np.random.default_rng(1)
    for few in (0.02, 0.2):
      hits = 0
      for _ in range(2000):
        base = rng.random(500)
        left = 100.0 * (base < 0.5 + few)
        right = 100.0 * (np.where(rng.random(500) < few, rng.random(500), base) < 0.5)
        truth = 100 * few
        found = gap(of(left), of(right))
        hits += found.low <= truth <= found.high
      self.assertGreaterEqual(hits / 2000, 0.94, few)

  def test_two_seeds_tell_as_much_as_one(self):
    rng = np.random.default_rng(2)
    left, right = 100.0 * (rng.random((2, 300)) < [[0.7], [0.5]])
    one = gap(of(left), of(right))
    mean = {0: float(left.mean()), 1: float(left.mean())}
    two = difference(
      mean,
      {0: of(left), 1: of(left)},
      {k: float(right.mean()) for k in mean},
      {0: of(right), 1: of(right)},
    )
    self.assertAlmostEqual(two.low, one.low)
    self.assertAlmostEqual(two.high, one.high)


if __name__ == '__main__':
  absltest.main()
