"""How images are learned, against numpy loops."""

import numpy as np
from absl.testing import absltest

from jaxrkd.errors import InputError
from jaxrkd.evaluate import dynamics


class DynamicsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    self.student, self.teacher = rng.uniform(0.01, 1, (2, 7, 40)).astype(np.float32)

  def test_difficulty_similarity_and_improvement(self):
    hard = dynamics.difficulty(self.teacher)
    cosine = dynamics.similarity(self.student, self.teacher)
    inner = dynamics.similarity(self.student, self.teacher, 'inner')
    better = dynamics.improvement(self.student, self.teacher)
    ratio = dynamics.improvement(self.student, self.teacher, 'ratio')
    for n in range(40):
      s, t = self.student[:, n].astype(float), self.teacher[:, n].astype(float)
      self.assertAlmostEqual(hard[n], sum(-np.log(p) for p in t) / 7, places=6)
      product = sum(a * b for a, b in zip(s, t))
      self.assertAlmostEqual(inner[n], product, places=6)
      long = sum(a * a for a in s) ** 0.5 * sum(b * b for b in t) ** 0.5
      self.assertAlmostEqual(cosine[n], product / long, places=6)
      self.assertAlmostEqual(better[n], s[-1] - t[-1], places=6)
      self.assertAlmostEqual(ratio[n], (s[-1] - t[-1]) / t[-1], places=5)
    order = dynamics.easiest_first(hard)
    self.assertTrue((np.diff(hard[order]) >= 0).all())

  def test_moving_average(self):
    values = np.random.default_rng(1).normal(size=101)
    for share in (0.0, 0.05, 0.2, 1.0):
      half = max(round(share * 101), 1) // 2
      want = [values[max(k - half, 0) : k + half + 1].mean() for k in range(101)]
      np.testing.assert_allclose(dynamics.smoothed(values, share), want, atol=1e-12)

  def test_extremes(self):
    hard = np.array([3.0, 1.0, 2.0, 9.0, 8.0, 7.0])
    found = dynamics.extremes(hard, np.array([0, 0, 0, 1, 1, 1]), 2)
    np.testing.assert_array_equal(found[0][0], [1, 2])
    np.testing.assert_array_equal(found[0][1], [0, 2])
    np.testing.assert_array_equal(found[1][0], [5, 4])
    np.testing.assert_array_equal(found[1][1], [3, 4])

  def test_certain_mistakes_have_a_difficulty(self):
    self.assertTrue(np.isfinite(dynamics.difficulty(np.zeros((2, 1)))).all())

  def test_mistakes(self):
    with self.assertRaisesRegex(InputError, '7 epochs of 40 images'):
      dynamics.similarity(self.student, self.teacher[:6])
    with self.assertRaisesRegex(InputError, 'choose cosine or inner'):
      dynamics.similarity(self.student, self.teacher, 'dot')
    with self.assertRaisesRegex(InputError, 'choose difference or ratio'):
      dynamics.improvement(self.student, self.teacher, 'dot')


if __name__ == '__main__':
  absltest.main()
