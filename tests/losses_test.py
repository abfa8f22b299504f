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

  def probs(self, z):
    z = np.asarray(z, np.float64)
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)

  def test_labels_as_probabilities(self):
    one_hot = np.eye(4, dtype=np.float32)[self.labels]
    for function in (losses.cross_entropy, losses.true_probability):
      np.testing.assert_allclose(
        function(self.p, one_hot), function(self.p, self.labels), rtol=1e-6
      )
    mixed = self.probs(self.q)
    np.testing.assert_allclose(
      losses.cross_entropy(self.p, mixed),
      -(mixed * np.log(self.probs(self.p))).sum(-1),
      rtol=1e-5,
    )
    np.testing.assert_allclose(
      losses.true_probability(self.p, mixed),
      (mixed * self.probs(self.p)).sum(-1),
      rtol=1e-5,
    )

  def test_kl_to_probabilities_some_of_which_are_zero(self):
    np.testing.assert_allclose(
      losses.kl_to_probs(jax.nn.softmax(self.p), self.q),
      losses.kl(self.p, self.q),
      rtol=1e-4,
      atol=1e-6,
    )
    one_hot = np.eye(4, dtype=np.float32)[self.labels]
    for epsilon, atol in ((0.0, 1e-5), (1e-5, 1e-4)):
      got = losses.kl_to_probs(one_hot, self.q, epsilon=epsilon)
      np.testing.assert_allclose(
        got, losses.cross_entropy(self.q, self.labels), atol=atol
      )

  def test_angle_at_the_label_is_the_literal_cosine(self):
    one_hot = np.eye(4)[self.labels]
    u, v = (self.probs(z) - one_hot for z in (self.p, self.q))
    want = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    got = losses.label_angle(self.p, self.q, self.labels)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    u, v = self.p - one_hot, self.q - one_hot
    want = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    got = losses.logit_angle(self.p, self.q, self.labels)
    np.testing.assert_allclose(got, want, rtol=1e-5)

  def test_angle_has_a_gradient_where_the_prediction_is_certain(self):
    """The literal form divides 0 by 0 there."""
    sure = 200 * np.eye(4, dtype=np.float32)[self.labels] + self.p
    value, slope = jax.value_and_grad(
      lambda z: losses.label_angle(z, self.q, self.labels).sum()
    )(sure)
    self.assertTrue(np.isfinite(value) and np.isfinite(slope).all())
    self.assertGreater(float(np.abs(slope).max()), 1e-3)

  def test_huber(self):
    np.testing.assert_allclose(
      losses.huber(np.array([-3.0, -0.5, 0.0, 1.0, 2.0]), 1.0), [2.5, 0.125, 0, 0.5, 1.5]
    )


if __name__ == '__main__':
  absltest.main()
