"""Rules that weigh networks image by image; the exact nearest mixture."""

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from scipy import optimize

from jaxrkd.amalgamation import AMALGAMATIONS, amalgamation, check_pareto
from jaxrkd.amalgamation.simplex import nearest_mixture
from jaxrkd.errors import InputError

N, B, C = 3, 5, 4


def softmax(z):
  e = np.exp(z - z.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def reference(corners, target):
  """The least squared distance, by SLSQP from two starts."""
  count = len(corners)
  found, _ = optimize.nnls(
    np.vstack([corners.T, 1e4 * np.ones(count)]), np.append(target, 1e4), maxiter=10000
  )
  distance = lambda w: ((target - w @ corners) ** 2).sum()
  ends = [found / found.sum()]
  for start in (ends[0], np.full(count, 1 / count)):
    made = optimize.minimize(
      distance,
      start,
      jac=lambda w: -2 * corners @ (target - w @ corners),
      bounds=[(0, 1)] * count,
      constraints=dict(
        type='eq', fun=lambda w: w.sum() - 1, jac=lambda w: np.ones(count)
      ),
      method='SLSQP',
      options=dict(ftol=1e-15, maxiter=500),
    )
    ends.append(np.maximum(made.x, 0) / np.maximum(made.x, 0).sum())
  return min(map(distance, ends))


def case(rng, count, kind):
  """Probabilities of `count` teachers and a student."""
  classes = 3 if kind % 2 else 10
  sharp = lambda: rng.choice([0.1, 1, 3, 10])
  corners = softmax(rng.normal(size=(count, classes)) * sharp())
  target = softmax(rng.normal(size=classes) * sharp())
  if kind == 1:
    corners[1:] = corners[0]
  elif kind in (2, 3):
    target = rng.dirichlet(np.ones(count)) @ corners
  elif kind == 4:
    corners = corners[0] + 1e-4 * (corners - corners[0])
  elif kind == 5:
    corners[-1] = corners[0]
    target = rng.dirichlet(np.ones(count)) @ corners
  elif kind == 6:
    corners = np.eye(classes)[rng.integers(0, classes, count)]
  return corners, target


class NearestMixtureTest(parameterized.TestCase):
  @parameterized.parameters(*range(2, 9))
  def test_objective_is_that_of_a_quadratic_programme(self, count):
    """143 cases for each of 7 counts: general, equal teachers, student in the hull."""
    rng = np.random.default_rng(count)
    cases = [case(rng, count, k % 7) for k in range(143)]
    for classes in (3, 10):
      group = [c for c in cases if c[0].shape[1] == classes]
      corners, targets = (np.stack(part, axis) for part, axis in zip(zip(*group), (1, 0)))
      best = np.array([reference(c, t) for c, t in group])
      for bits, tolerance in ((64, 1e-10), (32, 1e-6)):
        with jax.enable_x64(bits == 64):
          weights = jax.jit(nearest_mixture)(jnp.asarray(corners), jnp.asarray(targets))
        weights = np.asarray(weights, np.float64)
        self.assertGreaterEqual(weights.min(), 0)
        np.testing.assert_allclose(weights.sum(0), 1, atol=1e-6)
        mixed = np.einsum('nb,nbc->bc', weights, corners)
        self.assertLess((((targets - mixed) ** 2).sum(-1) - best).max(), tolerance)

  def test_inside_outside_and_equal(self):
    corners = jnp.array([[[1.0, 0, 0]], [[0, 1.0, 0]]])
    for target, want in (
      ([0.5, 0.5, 0], [0.5, 0.5]),
      ([0.2, 0.6, 0.2], [0.3, 0.7]),
      ([1.0, 0, 0], [1, 0]),
      ([0.0, 0, 1], [0.5, 0.5]),
    ):
      found = nearest_mixture(corners, jnp.array([target]))
      np.testing.assert_allclose(found[:, 0], want, atol=1e-6)
    # Where networks agree, one of them is taken.
    np.testing.assert_allclose(
      nearest_mixture(corners[:1].repeat(3, 0), corners[1])[:, 0], [1, 0, 0]
    )
    np.testing.assert_allclose(nearest_mixture(corners[:1], corners[1]), [[1]])

  def test_products_keep_full_precision_on_accelerators(self):
    traced = jax.make_jaxpr(nearest_mixture)(jnp.zeros((3, 2, 4)), jnp.zeros((2, 4)))

    def products(jaxpr):
      for equation in jaxpr.eqns:
        if equation.primitive.name == 'dot_general':
          yield equation.params['precision']
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
          yield from products(inner)

    found = list(products(traced.jaxpr))
    self.assertGreaterEqual(len(found), 3)
    highest = jax.lax.Precision.HIGHEST
    self.assertEqual(set(found), {(highest, highest)})

  def test_no_gradient(self):
    rng = np.random.default_rng(0)
    corners, target = rng.uniform(size=(3, 2, 4)), rng.uniform(size=(2, 4))
    slope = jax.grad(lambda c, t: (nearest_mixture(c, t) ** 2).sum(), (0, 1))(
      jnp.asarray(corners), jnp.asarray(target)
    )
    for leaf in slope:
      np.testing.assert_array_equal(leaf, 0)

  @parameterized.parameters((1, 'nothing to weigh'), (9, '2 to 8'))
  def test_number_of_networks(self, count, text):
    with self.assertRaisesRegex(InputError, text):
      check_pareto(count, 'method.amalgamation')

  def test_nine_corners(self):
    with self.assertRaisesRegex(InputError, 'there are 9 corners'):
      nearest_mixture(jnp.zeros((9, 1, 4)), jnp.zeros((1, 4)))


class RulesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    rng = np.random.default_rng(0)
    self.logits = 2 * rng.normal(size=(N, B, C))
    self.student = rng.normal(size=(B, C))
    self.labels = rng.integers(0, C, B)
    probs = softmax(self.logits)
    self.loss = -np.log(probs[:, np.arange(B), self.labels])

  def call(self, rule, **options):
    given = (jnp.asarray(a) for a in (self.logits, self.labels, self.student))
    return np.asarray(rule(*given, **options))

  def test_logits(self):
    worst = self.logits[self.loss.argmax(0), np.arange(B)]
    linear = self.loss / self.loss.sum(0)
    for name, options, want in (
      ('naive', {}, worst),
      ('linear', {}, (linear[..., None] * self.logits).sum(0)),
      ('soft', {}, self.softly(1.0)),
      ('soft', dict(beta=3.0), self.softly(3.0)),
      ('soft', dict(beta=0.0), self.logits.mean(0)),
      ('soft', dict(beta=1e4), worst),
    ):
      rule = AMALGAMATIONS[name](**options)
      np.testing.assert_allclose(self.call(rule), want, rtol=1e-9)
      np.testing.assert_allclose(self.call(rule, temperature=4.0), want / 4, rtol=1e-9)

  def softly(self, beta):
    weights = np.exp(beta * self.loss) / np.exp(beta * self.loss).sum(0)
    return (weights[..., None] * self.logits).sum(0)

  def test_pareto_mixes_probabilities(self):
    rule, probs = AMALGAMATIONS['pareto'](), softmax(self.logits)
    weights = np.asarray(nearest_mixture(jnp.asarray(probs), softmax(self.student)))
    want = (weights[..., None] * probs).sum(0)
    np.testing.assert_allclose(np.exp(self.call(rule)), want, rtol=1e-9)
    softer = (weights[..., None] * softmax(self.logits / 2)).sum(0)
    np.testing.assert_allclose(
      np.exp(self.call(rule, temperature=2.0)), softer, rtol=1e-9
    )

  def test_linear_without_any_loss_is_the_mean(self):
    logits = np.zeros((2, 1, 3))
    logits[:, :, 0] = 1e3
    logits[1, :, 1] = 5
    rule = AMALGAMATIONS['linear']()
    found = rule(jnp.asarray(logits), jnp.zeros(1, int))
    np.testing.assert_allclose(found, logits.mean(0))

  @parameterized.parameters('linear', 'soft')
  def test_gradient_through_the_weights_only_if_asked(self, name):
    rule = AMALGAMATIONS[name]()

    def total(logits, stop):
      return rule(logits, jnp.asarray(self.labels), stop=stop)[:, 0].sum()

    held, free = (jax.grad(total)(jnp.asarray(self.logits), s) for s in (True, False))
    weights = np.asarray(rule.weigh(self.logits, self.labels, None))
    np.testing.assert_allclose(held[..., 0], weights, rtol=1e-9)
    np.testing.assert_allclose(held[..., 1:], 0)
    self.assertGreater(float(np.abs(free[..., 1:]).max()), 1e-3)

  @parameterized.parameters(
    ('sharp', 1.0, "method.amalgamation 'sharp'"),
    ('soft', -1.0, 'method.beta is -1.0'),
    ('soft', float('nan'), 'method.beta is nan'),
    ('linear', 2.0, 'only soft has a beta'),
  )
  def test_bad_options(self, name, beta, text):
    with self.assertRaisesRegex(InputError, text):
      amalgamation(name, beta)


if __name__ == '__main__':
  absltest.main()
