import jax
import numpy as np
from absl.testing import absltest

from jaxrkd import losses


class LossesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    self.p, self.q = rng.normal(size=(2, 5, 4)).astype(np.float32)
    self.labels = np.array([0, 3, 1, 2, 2])

  def test_cross_entropy_is_the_negative_log_probability(self):
    for row, label, got in zip(
      self.p, self.labels, losses.cross_entropy(self.p, self.labels)
    ):
      self.assertAlmostEqual(
        float(got), -np.log(np.exp(row[label]) / np.exp(row).sum()), places=5
      )

  def test_kl_is_the_double_sum(self):
    for epsilon in (0.0, 1e-5):
      got = losses.kl(self.p, self.q, epsilon=epsilon)
      for row, (a, b) in enumerate(zip(self.p, self.q)):
        a, b = np.exp(a) / np.exp(a).sum(), np.exp(b) / np.exp(b).sum()
        want = sum(x * (np.log(x + epsilon) - np.log(y)) for x, y in zip(a, b))
        self.assertAlmostEqual(float(got[row]), want, places=5)

  def test_kl_of_equal_distributions_is_zero_and_direction_matters(self):
    np.testing.assert_allclose(losses.kl(self.p, self.p + 3), 0, atol=1e-6)
    self.assertGreater(
      float(np.abs(losses.kl(self.p, self.q) - losses.kl(self.q, self.p)).max()), 1e-2
    )

  def test_epsilon_changes_the_value_but_no_gradient_of_the_student(self):
    grads = [
      jax.grad(lambda q, e=e: losses.kl(self.p, q, epsilon=e).sum())(self.q)
      for e in (0.0, 1e-2)
    ]
    np.testing.assert_allclose(*grads, rtol=1e-6)

  def test_margin_is_positive_exactly_where_the_prediction_is_wrong(self):
    got = np.asarray(losses.margin(self.p, self.labels))
    np.testing.assert_array_equal(got > 0, self.p.argmax(-1) != self.labels)
    others = np.array([np.delete(r, y).max() for r, y in zip(self.p, self.labels)])
    np.testing.assert_allclose(got, others - self.p[np.arange(5), self.labels], rtol=1e-6)


if __name__ == '__main__':
  absltest.main()
