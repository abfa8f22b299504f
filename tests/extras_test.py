"""What goes under every method by a key: AWP, IGDM, SWA, augmentations, balanced classes."""

import dataclasses
import functools
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import run
from jaxrkd.experiment.load import load_trained
from jaxrkd.experiment.load_run import load_run
from jaxrkd.runtime import sharding
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.train import averages
from jaxrkd.train.weight_perturbation import WeightPerturbation

AWP = dict(awp__gamma=0.02)
IGDM = dict(igdm__alpha=3.0)
SHAPES = dict(augment__crop_shift=3, augment__policy='idbh_shape', augment__erasing=0.5)
LATE = dict(augment__late__epoch=2, augment__late__preset='autoaugment')
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
  ('rslad_swa_ema', 'rslad', dict(swa__start=2, ema__decay=0.9)),
  ('cat_aka_swa', 'cat_aka', dict(swa__start=1)),
  ('trades_shapes_awp', 'trades', {**AWP, **SHAPES}),
  ('mtard_shapes_late', 'mtard', {**LATE, 'augment__cutmix': 1.0}),
  ('at_aka_balanced', 'at_aka', dict(sampling='class_balanced')),
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


class CheckpointTest(absltest.TestCase):
  def test_names_that_checkpoints_know(self):
    """Another name, and every run with an average over epochs could not be read again."""
    self.assertEqual(averages.Averages._fields, ('moving', 'equal', 'epochs'))


class ExtrasTest(parameterized.TestCase):
  @parameterized.named_parameters(*SAMPLED)
  def test_devices_and_resume(self, method, extras):
    with jax.enable_x64(True):
      made = tiny.config(method, epochs=3, **extras)
      plain = tiny.Run(tiny.config(method, epochs=3), 1)
      runs = {devices: tiny.Run(made, devices) for devices in (1, 4)}
      rows = {d: one.steps(one.setup.init(), 6) for d, one in runs.items()}
      losses = {d: [row['loss'] for row in found] for d, (_, found) in rows.items()}
      np.testing.assert_allclose(losses[4], losses[1], rtol=1e-9)
      without = [row['loss'] for row in plain.steps(plain.setup.init(), 6)[1]]
      if 'swa__start' in extras:
        np.testing.assert_allclose(losses[1], without, rtol=1e-12)
      else:
        self.assertNotEqual(losses[1], without)
      first = runs[1]
      state, _ = first.steps(first.setup.init(), 3)
      store = Checkpoints(tiny.folder(self) / 'last')
      store.save(3, state, {})
      store.wait()
      straight, want = first.steps(state, 3)
      again, _ = store.restore(first.setup.learner.like)
      resumed, got = first.steps(again, 3)
      store.close()
    self.assertEqual(want, got)
    chex.assert_trees_all_equal(
      *(
        jax.tree.map(np.asarray, [(n.params, n.average) for n in state.nets.values()])
        for state in (straight, resumed)
      )
    )

  @parameterized.parameters(
    ('sat', dict(attack__name='pgd', attack__step_size=0.05)),
    ('trades', dict(attack__steps=4, attack__step_size=None)),
    ('sat', dict(attack__name='adam', attack__step_size=None)),
    ('at_aka', dict(attack__name='svgd', attack__steps=12, attack__step_size=None)),
  )
  def test_an_attack_that_grows(self, method, changes):
    """Each epoch is that of a training whose ball and steps are so much smaller."""
    self.enterContext(jax.enable_x64(True))
    made = lambda **more: tiny.Run(
      tiny.config(method, epochs=4, **{**changes, **more}), 1
    )
    grown = made(attack__ramp=4)
    begin, per_epoch = grown.setup.init(), grown.setup.steps_per_epoch

    def loss(run, epoch):
      # Donated: every step needs a state of its own.
      state = dataclasses.replace(
        jax.tree.map(jnp.copy, begin), step=jnp.int32(epoch * per_epoch)
      )
      return run.steps(state, 1)[1][0]['loss']

    size = changes.get('attack__step_size')
    found = []
    for epoch, share in ((0, 0.25), (2, 0.75), (3, 1.0)):
      less = dict(threat__eps=0.1 * share)
      if size:
        less['attack__step_size'] = share * size
      found.append(loss(grown, epoch))
      np.testing.assert_allclose(found[-1], loss(made(**less), epoch), rtol=1e-9)
    self.assertLen(set(found), 3)

  def test_what_is_off_is_not_in_the_program(self):
    def text(**changes):
      one = tiny.Run(tiny.config('rslad', **changes), 1)
      given = one.setup.init(), one.teachers, one.images, one.setup.order(jnp.int32(0))
      return one.setup.step.lower(*given).as_text()

    off = text()
    self.assertEqual(
      off, text(awp__warmup=5, igdm__beta=0.5, augment__erasing_area=(0.1, 0.2))
    )
    self.assertGreater(len(text(**AWP)), 1.1 * len(off))

  def test_average_over_epochs_of_a_run(self):
    folder = tiny.folder(self)
    made = tiny.config('sat', epochs=3, swa__start=2, keep_epochs=(2, 3))
    config = experiment.resolve(made)
    found = experiment.train_and_evaluate(config, folder / 'run')
    self.assertEqual(list(found['student']), ['best', 'last', 'swa'])
    mesh = sharding.data_mesh(jax.devices()[:1])
    load = functools.partial(load_trained, folder / 'run', mesh=mesh)
    swa = load(kind='swa')
    kept = [load(kind='last', epoch=epoch).state.params for epoch in (2, 3)]
    mean = jax.tree.map(lambda a, b: (a + b) / 2, *kept)
    chex.assert_trees_all_close(swa.state.params, mean, atol=1e-6)
    last = load(kind='last')
    # Estimated for these parameters, and not those of the last epoch.
    with self.assertRaises(AssertionError):
      chex.assert_trees_all_close(swa.state.stats, last.state.stats, atol=1e-6)
    with self.subTest('as a function and as a teacher'):
      images = np.zeros((2, *swa.record.image_shape), np.float32)
      given = load_run(folder / 'run', checkpoint='swa')(images)
      own = swa.net.apply(swa.state.params, swa.state.stats, images)
      np.testing.assert_allclose(given, own, rtol=1e-5)
      student = tiny.config('rslad', epochs=1, teachers=[])
      student.teachers = {
        'robust': configs.teacher(workdir=str(folder / 'run'), checkpoint='swa')
      }
      taught = experiment.train_and_evaluate(
        experiment.resolve(student), folder / 'taught'
      )
      row, want = taught['teachers']['robust'], found['student']['swa']
      self.assertEqual((row['clean'], row['checkpoint']), (want['clean'], 'swa'))
    with self.subTest('made again from the last checkpoint'):
      shutil.rmtree(folder / 'run/checkpoints/swa')
      (folder / 'run/results.json').unlink()
      experiment.train_and_evaluate(config, folder / 'run')
      again = load(kind='swa')
      chex.assert_trees_all_equal(again.state.stats, swa.state.stats)

  def test_a_run_without_says_how_to_get_one(self):
    folder = tiny.folder(self)
    run.train(experiment.resolve(tiny.config('natural', epochs=1)), folder / 'run')
    with self.assertRaisesRegex(InputError, 'config.swa.start=EPOCH'):
      load_run(folder / 'run', checkpoint='swa')

  @parameterized.parameters(
    (dict(swa__start=9), 'config.swa.start is 9, but the training has'),
    (dict(swa__start=-1), 'config.swa.start is -1'),
    (dict(swa__start=1, swa__decay=1.0), 'config.swa.decay is 1.0'),
    (dict(swa__decay=0.9), 'config.swa.decay is 0.9, but config.swa.start is 0'),
    (dict(attack__ramp=9), 'config.attack.ramp is 9, but the training has'),
    (dict(attack__ramp=-2), 'ramp is -2; it must be a whole number'),
    (dict(attack__ramp=1.5), 'ramp'),
    (dict(awp__gamma=-1.0), 'awp.gamma is -1.0'),
    (dict(awp__gamma=0.1, awp__warmup=-1), 'awp.warmup is -1'),
    (
      dict(awp__gamma=0.1, awp__warmup=2),
      'awp.warmup is 2, but the training has 2 epochs',
    ),
    (dict(igdm__alpha=-1.0), 'igdm.alpha is -1.0'),
    (dict(igdm__alpha=float('inf')), 'igdm.alpha is inf.* 0 or more, and finite'),
    (dict(igdm__alpha=1.0, igdm__order='adv'), "igdm.order is 'adv'"),
    (dict(igdm__alpha=1.0, igdm__teacher='clean'), 'a clean teacher'),
  )
  def test_bad_values(self, changes, text):
    with self.assertRaisesRegex(InputError, text):
      experiment.resolve(tiny.config('rslad', **changes))


if __name__ == '__main__':
  absltest.main()
