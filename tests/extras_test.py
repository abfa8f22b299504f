"""What goes under every method by a key: AWP and IGDM."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.errors import InputError
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.train.weight_perturbation import WeightPerturbation

AWP = dict(awp__gamma=0.02)
IGDM = dict(igdm__alpha=3.0)
# Methods of every kind, each with some of the extras.
SAMPLED = (
  ('sat_awp', 'sat', AWP),
  ('sat_awp_later', 'sat', dict(awp__gamma=0.02, awp__warmup=1)),
  ('rslad_igdm', 'rslad', IGDM),
  ('mtard_both_ema', 'mtard', {**AWP, **IGDM, 'ema__decay': 0.9}),
  ('absld_both', 'absld', {**AWP, **IGDM}),
  ('fair_iad_both', 'fair_iad', {**AWP, **IGDM}),
  ('at_aka_awp', 'at_aka', AWP),
  ('peeraid_awp', 'peeraid', AWP),
)


class PerturbationTest(parameterized.TestCase):
  def test_kernels_move_along_their_gradient(self):
    rng = np.random.default_rng(0)
    params = {
      'kernel': jnp.asarray(rng.normal(size=(3, 3, 2, 4)), jnp.float32),
      'matrix': jnp.asarray(rng.normal(size=(4, 5)), jnp.float32),
      'bias': jnp.ones(5),
    }
    slope = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)
    found = WeightPerturbation(0.1)(lambda params: slope, params, jnp.int32(0))
    np.testing.assert_array_equal(found['bias'], params['bias'])
    for name in ('kernel', 'matrix'):
      moved, g = found[name] - params[name], slope[name]
      length = np.linalg.norm(np.ravel(params[name]))
      self.assertAlmostEqual(np.linalg.norm(np.ravel(moved)) / length, 0.1, places=5)
      unit = 0.1 * length * g / np.linalg.norm(np.ravel(g))
      np.testing.assert_allclose(moved, unit, atol=1e-5)

  def test_no_gradient_no_move(self):
    params = {'kernel': jnp.ones((2, 3))}
    found = WeightPerturbation(0.1)(
      lambda params: jax.tree.map(jnp.zeros_like, params), params, jnp.int32(0)
    )
    np.testing.assert_array_equal(found['kernel'], params['kernel'])

  def test_it_begins_after_its_warmup(self):
    params = {'kernel': jnp.ones((2, 3))}
    ask = functools.partial(WeightPerturbation(0.1, warmup=2), lambda params: params)
    moves = [bool((ask(params, jnp.int32(e))['kernel'] > 1).all()) for e in range(4)]
    self.assertEqual(moves, [False, False, True, True])


class ExtrasTest(parameterized.TestCase):
  @parameterized.named_parameters(*SAMPLED)
  def test_devices_and_resume(self, method, extras):
    with jax.enable_x64(True):
      made = tiny.config(method, epochs=3, **extras)
      plain = tiny.Run(tiny.config(method, epochs=3), 1)
      runs = {devices: tiny.Run(made, devices) for devices in (1, 4)}
      rows = {d: run.steps(run.setup.init(), 6) for d, run in runs.items()}
      losses = {d: [row['loss'] for row in found] for d, (_, found) in rows.items()}
      np.testing.assert_allclose(losses[4], losses[1], rtol=1e-9)
      without = [row['loss'] for row in plain.steps(plain.setup.init(), 6)[1]]
      self.assertNotEqual(losses[1], without)
      run = runs[1]
      state, _ = run.steps(run.setup.init(), 3)
      store = Checkpoints(tiny.folder(self) / 'last')
      store.save(3, state, {})
      store.wait()
      straight, want = run.steps(state, 3)
      again, _ = store.restore(run.setup.learner.like)
      resumed, got = run.steps(again, 3)
      store.close()
    self.assertEqual(want, got)
    chex.assert_trees_all_equal(
      *(
        jax.tree.map(np.asarray, [net.params for net in state.nets.values()])
        for state in (straight, resumed)
      )
    )

  def test_what_is_off_is_not_in_the_program(self):
    def text(**changes):
      run = tiny.Run(tiny.config('rslad', **changes), 1)
      given = run.setup.init(), run.teachers, run.images, run.setup.order(jnp.int32(0))
      return run.setup.step.lower(*given).as_text()

    off = text()
    self.assertEqual(off, text(awp__warmup=5, igdm__beta=0.5))
    self.assertGreater(len(text(**AWP)), 1.1 * len(off))

  @parameterized.parameters(
    (dict(awp__gamma=-1.0), 'awp.gamma is -1.0'),
    (dict(awp__gamma=0.1, awp__warmup=-1), 'awp.warmup is -1'),
    (dict(igdm__alpha=-1.0), 'igdm.alpha is -1.0'),
    (dict(igdm__alpha=1.0, igdm__order='adv'), "igdm.order is 'adv'"),
    (dict(igdm__alpha=1.0, igdm__teacher='clean'), 'a clean teacher'),
  )
  def test_bad_values(self, changes, text):
    from jaxrkd import experiment

    with self.assertRaisesRegex(InputError, text):
      experiment.resolve(tiny.config('rslad', **changes))


if __name__ == '__main__':
  absltest.main()
