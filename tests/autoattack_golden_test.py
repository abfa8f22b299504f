"""AutoAttack against numbers of the reference implementation on a robust ResNet-8.

`data/golden_autoattack_inside.npz` has losses, flags, images and distances in float64 from
stored draws; `golden_autoattack.npz` has verdicts. The tests take a part of the images;
`benchmarks/autoattack.py --golden` takes all, and those in L2 and L1.
"""

import functools
import pathlib

import golden_steps
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from jaxrkd import attacks
from jaxrkd.attacks import L1, L2, Linf, example_keys
from jaxrkd.attacks.stepwise import Points, ranked_targets
from jaxrkd.evaluate import attack_images

DATA = pathlib.Path(__file__).parent / 'data'
THREATS = {'Linf': Linf(8 / 255), 'L2': L2(0.5), 'L1': L1(12.0)}


@functools.cache
def archive(name):
  with np.load(DATA / f'golden_{name}.npz') as found:
    return {key: found[key] for key in found.files}


def network(dtype):
  """logits_fn of the golden network, converted from PyTorch's layout."""
  variables = golden_steps.variables(archive('autoattack'), 'net')
  variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
  return functools.partial(golden_steps.network().apply, *variables)


def channels_last(images, dtype=np.float64):
  return jnp.asarray(np.asarray(images, dtype).transpose(0, 2, 3, 1))


# Images of the file: the first two for `x_best`; the others notice the quirks of the published
# code: the empty row at the first checkpoint (7, 14), the momentum after a restart (all).
ROWS = [0, 1, 7, 14]


@functools.cache
def given():
  """The network, where attacks begin, and every image's targets; under x64."""
  outer, logits_fn = archive('autoattack'), network(jnp.float64)
  rows = archive('autoattack_inside')['index'][ROWS]
  images = channels_last(outer['images'][rows].astype(np.float64) / 255)
  labels = jnp.asarray(outer['labels'][rows])
  targets = ranked_targets(jax.jit(logits_fn)(images), labels)
  keys = example_keys(jax.random.key(0), jnp.arange(len(rows)))
  return logits_fn, Points(keys, images, labels, targets[:, 0], labels * 0), targets


class InsideTest(parameterized.TestCase):
  """Float64, stored draws: equal up to rounding."""

  def setUp(self):
    super().setUp()
    self.enterContext(jax.enable_x64(True))
    self.inside = archive('autoattack_inside')
    self.logits_fn, self.points, self.targets = given()

  def start(self, threat, keys, clean):
    """As AutoAttack starts, with the stored draws."""
    del keys
    if isinstance(threat, Linf):
      way = 2 * channels_last(self.inside['uniform'][ROWS]) - 1
    else:
      way = channels_last(self.inside['normal'][ROWS])
    if isinstance(threat, L1):
      return threat.project(clean + way, clean)
    return jnp.clip(clean + threat.eps * way / threat.norm(way), 0, 1)

  def states(self, attack, points):
    """The last state, and whether any of them was adversarial."""

    @jax.jit
    def run(points):
      def step(i, carry):
        state, fooled = carry
        steps = jnp.full_like(points.label, i)
        state = attack.step(self.logits_fn, points, state, steps)
        return state, fooled | state.fooled

      begin = attack.begin(points)
      return jax.lax.fori_loop(0, attack.steps, step, (begin, begin.fooled))

    return run(points)

  @parameterized.parameters(
    *((norm, loss) for norm in THREATS for loss in ('ce', 'dlr', 'dlr-targeted')),
    ('L1', 'ce-largereps'),
  )
  def test_apgd(self, norm, loss):
    if loss == 'dlr-targeted':
      attack = attacks.apgd_t(THREATS[norm], targets=1, start=self.start)
    else:
      attack = attacks.apgd(
        THREATS[norm],
        loss=loss.removesuffix('-largereps'),
        large_eps=loss.endswith('-largereps'),
        start=self.start,
      )
    state, fooled = self.states(attack, self.points)
    want = lambda key: self.inside[f'apgd/{norm}/{loss}/{key}']
    np.testing.assert_allclose(state.best_loss, want('loss')[ROWS], rtol=1e-6)
    np.testing.assert_array_equal(~fooled, want('robust')[ROWS])
    best = channels_last(want('x_best')[:2])
    np.testing.assert_allclose(state.best[: len(best)], best, atol=1e-6)

  @parameterized.parameters(*THREATS)
  def test_fab_t(self, norm):
    """One image with all nine targets."""
    rows = np.repeat([1], 9)
    points = jax.tree.map(lambda leaf: leaf[rows], self.points)
    points = points._replace(target=self.targets[1])
    state, _ = self.states(attacks.fab_t(THREATS[norm]), points)
    want = self.inside[f'fab/{norm}/distance'][ROWS[1]]
    np.testing.assert_allclose(state.distance, want, rtol=1e-6)

  def test_fab(self):
    points = jax.tree.map(lambda leaf: leaf[:2], self.points)
    state, _ = self.states(attacks.fab(THREATS['Linf']), points)
    np.testing.assert_allclose(
      state.distance, self.inside['fab/Linf/untargeted'][ROWS[:2]], rtol=1e-6
    )


class VerdictTest(parameterized.TestCase):
  """Float32, draws of our own: the same verdicts."""

  def judged(self, rows, attack, threat):
    outer = archive('autoattack')
    images = outer['images'][rows].transpose(0, 2, 3, 1)
    return attack_images(
      network(jnp.float32), images, outer['labels'][rows], attack, threat=threat
    )

  @parameterized.parameters(
    ('apgd-ce', attacks.apgd, {}, 48),
    ('apgd-t', attacks.apgd_t, {}, 8),
    ('square', attacks.square, {'queries': 400}, 24),
  )
  def test_linf(self, name, make, options, count):
    found = self.judged(np.arange(count), make(THREATS['Linf'], **options), Linf(8 / 255))
    np.testing.assert_array_equal(
      found.clean_correct, archive('autoattack')['clean'][:count]
    )
    want = archive('autoattack')[name][:count]
    if name == 'square':
      # Shorter, so not stronger; what it broke, the reference broke.
      self.assertTrue(np.all(found.robust >= want))
      self.assertLess(np.mean(found.robust & ~want), 0.2)
      return
    np.testing.assert_array_equal(found.robust, want)


if __name__ == '__main__':
  absltest.main()
