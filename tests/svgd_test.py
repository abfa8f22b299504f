"""SVGD against the authors' parent code, a numpy double loop and its limits."""

import functools
import pathlib
from unittest import mock

import golden_steps
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd import attacks
from jaxrkd.attacks import Linf, objectives, svgd_search
from jaxrkd.errors import InputError
from jaxrkd.particles import spread

GOLDEN = pathlib.Path(__file__).parent / 'data' / 'golden_svgd.npz'
N, B, SHAPE, C = 4, 3, (2, 3, 1), 5
D = 6
KEY = jax.random.key(0)


class World:
  """Linear networks, so that numpy has their gradients; images well inside [0, 1]."""

  def __init__(self, alike=False):
    rng = np.random.default_rng(0)
    self.clean = rng.uniform(0.4, 0.6, (B, *SHAPE))
    self.labels = rng.integers(0, C, B)
    weights = rng.normal(size=(N, D, C))
    self.weights = weights[:1].repeat(N, 0) if alike else weights
    self.begin = self.clean + rng.uniform(-0.2, 0.2, (N, B, *SHAPE))

  def objective(self):
    fs = [
      lambda x, w=w: x.reshape(len(x), -1) @ jnp.asarray(w, x.dtype) for w in self.weights
    ]
    return objectives.one_each(fs, jnp.asarray(self.labels))

  def search(self, eps=0.4, **options):
    first = lambda threat, keys, clean: jnp.asarray(
      self.begin.swapaxes(0, 1).reshape(-1, *SHAPE), clean.dtype
    )
    return svgd_search(Linf(eps), start=first, **options)

  def particles(self, **options):
    search = self.search(**options)
    clean = jnp.asarray(self.clean)
    return np.asarray(search.together(KEY, self.objective(), clean, N))

  def slope(self, network, x, image):
    """The gradient of the cross-entropy of one flat image under one network."""
    z = x @ self.weights[network]
    p = np.exp(z - z.max())
    p /= p.sum()
    p[self.labels[image]] -= 1
    return self.weights[network] @ p

  def direction(self, variance, gamma=1.0, average='printed', receiver=False):
    """phi by a double loop; `variance` maps squared distances [n, n] to sigma^2."""
    phi = np.zeros((N, B, D))
    for image in range(B):
      x = self.begin[:, image].reshape(N, D)
      squared = np.array([[((a - b) ** 2).sum() for b in x] for a in x])
      width = variance(squared)
      for i in range(N):
        for j in range(N):
          k = np.exp(-squared[i, j] / (2 * width))
          slope = self.slope(i if receiver else j, x[j], image)
          pull = k * slope * (1 / N if average == 'standard' else 1)
          push = gamma / N * k * (x[i] - x[j]) / width
          phi[i, image] += pull + push
    return phi.reshape(N, B, *SHAPE)


def median(squared):
  pairs = [squared[i, j] for i in range(N) for j in range(i + 1, N)]
  return np.median(pairs) / (2 * np.log(N + 1))


class GoldenTest(parameterized.TestCase):
  @parameterized.parameters(('sigma1', 1.0), ('sigma03', 0.3), ('literal', 1e-3))
  def test_particles_of_the_parent_code(self, name, sigma):
    archive = golden_steps.load()
    with np.load(GOLDEN) as found:
      noise, want = found['noise'].astype(np.float64), found[f'{name}/x_adv']
    with jax.enable_x64(True):
      net = golden_steps.network()
      logits_fn = net.logits_fn(*golden_steps.variables(archive, 'robust'))
      images = jnp.asarray(archive['images'][:4].astype(np.float64).transpose(0, 2, 3, 1))
      merged = noise.transpose(0, 1, 3, 4, 2).reshape(12, 32, 32, 3)
      search = svgd_search(
        Linf(8 / 255),
        bandwidth='fixed',
        sigma=sigma,
        average='standard',
        start=lambda threat, keys, clean: clean + 8 / 255 * merged,
      )
      labels = jnp.asarray(archive['labels'][:4])
      objective = objectives.one_each([logits_fn] * 3, labels)
      got = jax.jit(lambda x: search.together(KEY, objective, x, 3))(images)
    np.testing.assert_allclose(got, want.transpose(1, 0, 3, 4, 2), atol=1e-7)


class ShortTest(parameterized.TestCase):
  """A few steps that are held against other ways to compute them, short of the border."""

  def setUp(self):
    super().setUp()
    self.enterContext(mock.patch('jaxrkd.attacks.svgd.check_budget'))


class DirectionTest(ShortTest):
  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    self.world = World()

  @parameterized.named_parameters(
    ('median', {}, median, {}),
    ('wide_median', dict(sigma=3.0), lambda s: 9 * median(s), {}),
    ('fixed', dict(bandwidth='fixed', sigma=0.2), lambda s: 0.04, {}),
    ('scaled', dict(bandwidth='scaled', sigma=0.1), lambda s: 0.01 * D, {}),
    ('infinite', dict(bandwidth='fixed', sigma=np.inf), lambda s: np.inf, {}),
    ('gamma', dict(gamma=0.01), median, dict(gamma=0.01)),
    ('standard', dict(average='standard'), median, dict(average='standard')),
    ('receiver', dict(gradient='receiver'), median, dict(receiver=True)),
  )
  def test_against_a_double_loop(self, options, variance, told):
    phi = self.world.direction(variance, **told)
    step = 1e-3
    moved = self.world.particles(steps=1, step_size=step, signed=False, **options)
    np.testing.assert_allclose(
      (moved - self.world.begin) / step, phi, rtol=1e-6, atol=1e-9
    )
    signed = self.world.particles(steps=1, step_size=step, **options)
    np.testing.assert_allclose(signed - self.world.begin, step * np.sign(phi), atol=1e-12)

  @parameterized.parameters(
    dict(bandwidth='fixed', sigma=1e-23),
    dict(bandwidth='scaled', sigma=1e-23),
    dict(bandwidth='median', sigma=np.inf),
  )
  def test_extreme_widths_on_coinciding_particles(self, **options):
    with jax.enable_x64(False):
      world = World(alike=True)
      world.begin[:] = world.begin[:1]
      found = world.particles(steps=2, step_size=0.01, **options)
    self.assertTrue(np.isfinite(found).all())
    self.assertGreater(np.abs(found - world.begin).max(), 0.005)

  def test_coinciding_particles_do_not_push_each_other(self):
    world = World(alike=True)
    world.begin[:] = world.begin[:1]
    moved = world.particles(steps=3, step_size=0.01)
    self.assertTrue(np.isfinite(moved).all())
    np.testing.assert_array_equal(moved, np.broadcast_to(moved[:1], moved.shape))


class LimitsTest(ShortTest):
  def test_one_particle_is_sign_pgd(self):
    world = World()
    x, y = jnp.asarray(world.clean, jnp.float32), jnp.asarray(world.labels)
    f = lambda x: x.reshape(len(x), -1) @ jnp.asarray(world.weights[0], jnp.float32)
    for found in (
      attacks.svgd(Linf(0.1), particles=1, steps=7, step_size=0.02)(KEY, f, x, y),
      svgd_search(Linf(0.1), steps=7, step_size=0.02).together(
        KEY, objectives.one_each([f], y), x, 1
      )[0],
    ):
      want = attacks.pgd(Linf(0.1), steps=7, step_size=0.02)(KEY, f, x, y)
      np.testing.assert_array_equal(found, want)

  def test_the_printed_width_is_pgd_for_every_particle(self):
    world, options = World(), dict(steps=5, step_size=0.02)
    x = jnp.asarray(world.clean, jnp.float32)
    paper = attacks.SEARCHES['svgd_paper'](Linf(0.1), **options)
    apart = attacks.pgd_search(Linf(0.1), **options)
    coupled = svgd_search(Linf(0.1), **options)
    made = [
      np.asarray(s.together(KEY, world.objective(), x, N))
      for s in (paper, apart, coupled)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    self.assertGreater(np.abs(made[2] - made[1]).max(), 0.01)
    # Every particle has a start of its own.
    self.assertGreater(np.abs(made[1][0] - made[1][1]).max(), 0.01)

  def test_infinite_width_moves_all_particles_alike(self):
    world = World()
    moved = world.particles(bandwidth='fixed', sigma=np.inf, steps=4, step_size=0.01)
    steps = moved - world.begin.astype(np.float32)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=1e-6)
    self.assertGreater(np.abs(steps).max(), 0.02)

  def test_the_push_spreads_particles(self):
    world = World(alike=True)
    world.begin = world.clean + 0.05 * (world.begin - world.clean)
    apart = []
    for gamma in (0.0, 1.0, 10.0):
      found = world.particles(gamma=gamma, steps=10, step_size=0.02)
      apart.append(np.mean([spread(found)[k] for k in ('l1', 'l2')], axis=1))
    self.assertTrue((apart[0] < apart[1]).all() and (apart[1] < apart[2]).all(), apart)

  @parameterized.parameters('linf', 'l2')
  def test_particles_stay_in_the_ball_and_the_box(self, norm):
    world = World()
    world.clean = np.round(world.clean)
    eps = 0.3
    threat = attacks.THREATS[norm](eps)
    for signed in (True, False):
      search = svgd_search(threat, steps=4, step_size=0.2, signed=signed)
      x = jnp.asarray(world.clean, jnp.float32)
      found = np.asarray(search.together(KEY, world.objective(), x, N))
      moved = (found - np.asarray(x)).reshape(N, B, -1)
      size = (
        np.abs(moved).max() if norm == 'linf' else np.linalg.norm(moved, axis=-1).max()
      )
      self.assertLessEqual(size, eps + 1e-6)
      self.assertGreater(size, 0.1)
      self.assertGreaterEqual(found.min(), 0)
      self.assertLessEqual(found.max(), 1)

  def test_the_attack_keeps_the_strongest_particle(self):
    world = World(alike=True)
    x, y = jnp.asarray(world.clean, jnp.float32), jnp.asarray(world.labels)
    f = lambda x: x.reshape(len(x), -1) @ jnp.asarray(world.weights[0], jnp.float32)
    options = dict(steps=2, step_size=0.01)
    found = attacks.svgd(Linf(0.1), particles=N, **options)(KEY, f, x, y)
    alike = objectives.all_alike(objectives.cross_entropy(f, y))
    every = svgd_search(Linf(0.1), **options).together(KEY, alike, x, N)
    best = np.asarray(alike(every)).argmax(0)
    np.testing.assert_allclose(found, np.asarray(every)[best, np.arange(B)], atol=1e-6)

  def test_particles_do_not_depend_on_the_batch(self):
    world = World(alike=True)
    x, y = jnp.asarray(world.clean, jnp.float32), jnp.asarray(world.labels)
    keys = attacks.example_keys(KEY, jnp.arange(B))

    def made(rows):
      f = lambda x: x.reshape(len(x), -1) @ jnp.asarray(world.weights[0], jnp.float32)
      alike = objectives.all_alike(objectives.cross_entropy(f, y[rows]))
      return svgd_search(Linf(0.1), steps=3).together(keys[rows], alike, x[rows], N)

    whole = made(np.arange(B))
    np.testing.assert_allclose(made(np.array([2, 0])), whole[:, [2, 0]], atol=1e-6)

  def test_memory_of_the_objective(self):
    """Each evaluation moves it once, or once per particle of one network."""
    count = lambda x, carry: (x.sum((-3, -2, -1)), carry + 1)
    x = jnp.asarray(World().clean, jnp.float32)
    search = svgd_search(Linf(0.1), particles=N, steps=3)
    _, seen = search.together_with_carry(KEY, count, x, N, jnp.float32(0))
    self.assertEqual(float(seen), 3)
    _, seen = search.with_carry(KEY, count, x, jnp.float32(0))
    self.assertEqual(float(seen), 3 * N)


class MistakesTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(bandwidth='mean'), "attack.bandwidth is 'mean'.*median"),
    (dict(sigma=0.0), 'attack.sigma is 0.0; it must be above 0'),
    (dict(sigma=float('nan')), 'attack.sigma is nan'),
    (dict(gamma=-1.0), 'attack.gamma is -1.0'),
    (dict(average='mean'), 'attack.average'),
    (dict(gradient='both'), 'attack.gradient'),
    (dict(particles=-1), 'attack.particles is -1'),
    (dict(step_size=3.0), 'step_size is 3.0.*3/255'),
  )
  def test_options(self, options, text):
    with self.assertRaisesRegex(InputError, text):
      svgd_search(Linf(0.1), **options)

  def test_more_particles_than_networks(self):
    world = World()
    with self.assertRaisesRegex(InputError, '5, but there are 4 networks'):
      world.particles(particles=5)
    with self.assertRaisesRegex(InputError, '2 particles for 4 networks'):
      search = svgd_search(Linf(0.1))
      search.together(KEY, world.objective(), jnp.asarray(world.clean, jnp.float32), 2)

  def test_mixed_class_counts(self):
    f = lambda count, x: x.reshape(len(x), -1) @ jnp.ones((D, count))
    fs = [functools.partial(f, 3), functools.partial(f, 4)]
    objective = objectives.one_each(fs, jnp.zeros(B, int))
    with self.assertRaisesRegex(InputError, 'have 3, 4 classes'):
      objective(jnp.zeros((2, B, *SHAPE)))


if __name__ == '__main__':
  absltest.main()
