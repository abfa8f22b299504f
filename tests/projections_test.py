"""Projections against convex solvers and the published code's own results."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from scipy.optimize import linprog, lsq_linear

from jaxrkd.attacks import projections

INSIDE = pathlib.Path(__file__).parent / 'data' / 'golden_autoattack_inside.npz'
CASES, PIXELS = 1000, 8


def cases():
  """Random points, some on the border, normals, some with zeros, and signed excesses."""
  rng = np.random.default_rng(0)
  point = rng.uniform(0, 1, (CASES, PIXELS))
  point[rng.random(point.shape) < 0.15] = 0
  point[rng.random(point.shape) < 0.15] = 1
  w = rng.normal(size=(CASES, PIXELS))
  w[rng.random(w.shape) < 0.1] = 0
  # Some are so far that the box does not allow them.
  return point, w, rng.normal(size=CASES) * 1.5


def linf(point, w, excess):
  """min t with |d| <= t, w . d = -excess and 0 <= point + d <= 1."""
  n = len(point)
  sides = np.block([[np.eye(n), -np.ones((n, 1))], [-np.eye(n), -np.ones((n, 1))]])
  bounds = [*zip(-point, 1 - point), (0, None)]
  return linprog(
    np.eye(n + 1)[-1],
    A_ub=sides,
    b_ub=np.zeros(2 * n),
    A_eq=np.append(w, 0)[None],
    b_eq=[-excess],
    bounds=bounds,
  )


def l1(point, w, excess):
  """min sum(p + q) with d = p - q."""
  bounds = [*((0, 1 - x) for x in point), *((0, x) for x in point)]
  return linprog(
    np.ones(2 * len(point)),
    A_eq=np.concatenate([w, -w])[None],
    b_eq=[-excess],
    bounds=bounds,
  )


class HyperplaneTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))

  def found(self, name):
    point, w, excess = cases()
    project = jax.jit(jax.vmap(getattr(projections, f'hyperplane_{name}')))
    return point, w, excess, np.asarray(project(point, w, excess))

  def check_box_and_plane(self, point, w, excess, step):
    self.assertGreaterEqual((point + step).min(), -1e-12)
    self.assertLessEqual((point + step).max(), 1 + 1e-12)
    np.testing.assert_array_equal(step[w == 0], 0)
    way = -np.sign(excess)[:, None] * np.sign(w)
    room = np.where(way > 0, 1 - point, point) * (w != 0)
    possible = (np.abs(w) * room).sum(-1) >= np.abs(excess)
    self.assertBetween(possible.mean(), 0.5, 0.99)
    left = excess + (w * step).sum(-1)
    np.testing.assert_allclose(left[possible], 0, atol=1e-12)
    # As near as the box allows: the corner.
    np.testing.assert_allclose(step[~possible], (way * room)[~possible], atol=1e-12)
    return possible

  @parameterized.parameters('linf', 'l1')
  def test_against_linear_programming(self, name):
    point, w, excess, step = self.found(name)
    possible = self.check_box_and_plane(point, w, excess, step)
    solve, norm = (linf, np.max) if name == 'linf' else (l1, np.sum)
    for k in np.flatnonzero(possible):
      best = solve(point[k], w[k], excess[k])
      self.assertEqual(best.status, 0)
      np.testing.assert_allclose(norm(np.abs(step[k])), best.fun, atol=1e-9)

  def test_l2_against_least_squares(self):
    point, w, excess, step = self.found('l2')
    possible = self.check_box_and_plane(point, w, excess, step)
    heavy = 1e5  # the plane as a row of great weight
    for k in np.flatnonzero(possible):
      moves = w[k] != 0
      rows = np.vstack([heavy * w[k], np.eye(PIXELS)])[:, moves]
      aim = np.append(-heavy * excess[k], np.zeros(PIXELS))
      low, high = -point[k][moves] - 1e-12, 1 - point[k][moves] + 1e-12
      best = lsq_linear(rows, aim, (low, high), method='bvls', tol=1e-14)
      np.testing.assert_allclose(step[k][moves], best.x, atol=1e-6)

  @parameterized.parameters('Linf', 'L2', 'L1')
  def test_published_code(self, name):
    with np.load(INSIDE) as golden:
      point, w, b = (golden[f'projection/{key}'] for key in ('point', 'w', 'b'))
      want = golden[f'projection/{name}']
    project = jax.vmap(getattr(projections, f'hyperplane_{name.lower()}'))
    step = project(point, w, (w * point).sum(-1) - b)
    np.testing.assert_allclose(step, want, atol=1e-10, rtol=0)

  @parameterized.parameters('linf', 'l2', 'l1')
  def test_the_scale_of_logits_changes_nothing(self, name):
    point, w, excess, want = self.found(name)
    project = jax.vmap(getattr(projections, f'hyperplane_{name}'))
    np.testing.assert_allclose(project(point, 1e-10 * w, 1e-10 * excess), want, atol=1e-9)

  def test_float32_is_near(self):
    point, w, excess = (jnp.asarray(a, jnp.float32) for a in cases())
    for name in ('linf', 'l2', 'l1'):
      project = jax.vmap(getattr(projections, f'hyperplane_{name}'))
      *_, want = self.found(name)
      found = project(point, w, excess)
      self.assertEqual(found.dtype, jnp.float32)
      np.testing.assert_allclose(found, want, atol=3e-5)


class BallTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))

  def test_against_sorted_breakpoints(self):
    rng = np.random.default_rng(1)
    point, _, _ = cases()
    moved = rng.normal(size=point.shape) * rng.choice([0.05, 0.5, 2], (CASES, 1))
    radius = 0.7
    room = np.where(moved > 0, 1 - point, point)
    size = np.abs(moved)
    want = np.zeros_like(moved)
    for k in range(CASES):
      left = lambda t, k=k: np.minimum(np.maximum(size[k] - t, 0), room[k])
      t = 0.0
      if left(0).sum() > radius:
        # The sum is linear between these: find the two around the radius.
        points = np.unique(np.maximum(np.r_[0, size[k], size[k] - room[k]], 0))
        sums = np.array([left(p).sum() for p in points])
        t = np.interp(-radius, -sums, points)
      want[k] = np.sign(moved[k]) * left(t)
    shape = (CASES, 2, 2, 2)
    found = projections.l1_ball_and_box(
      moved.reshape(shape), point.reshape(shape), radius
    )
    np.testing.assert_allclose(found.reshape(want.shape), want, atol=1e-12)

  def test_published_code(self):
    with np.load(INSIDE) as golden:
      point, moved = golden['projection/point'], golden['projection/l1ball_delta']
      want = golden['projection/l1ball']
    shape = (len(point), 4, 4, 3)
    found = projections.l1_ball_and_box(moved.reshape(shape), point.reshape(shape), 1.5)
    correction = np.asarray(found).reshape(moved.shape) - moved
    np.testing.assert_allclose(correction, want, atol=1e-10, rtol=0)

  def test_nothing_stays_nothing(self):
    moved = jnp.zeros((2, 2, 2, 1)).at[0, 0, 0, 0].set(3.0)
    found = projections.l1_ball_and_box(moved, jnp.full_like(moved, 0.5), 0.25)
    np.testing.assert_array_equal(np.flatnonzero(found), [0])
    np.testing.assert_allclose(found[0, 0, 0, 0], 0.25)


if __name__ == '__main__':
  absltest.main()
