"""Schedules against tables, SGD against PyTorch's update by hand, averaging."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.optimizers import OPTIMIZERS, SCHEDULES, sgd, update_average, weight_sgd


def rates(name, epochs, per_epoch=2, **options):
  schedule = SCHEDULES[name](epochs, per_epoch, **options)
  return np.array([float(schedule.rate(s)) for s in range(epochs * per_epoch)])


class ScheduleTest(parameterized.TestCase):
  @parameterized.parameters((1, 3), (0, 2))
  def test_milestones_first_low_epoch(self, offset, first_low):
    """Offset 1: after finishing epoch 2, so epoch 3 is the first at the lower rate."""
    got = rates('milestones', 5, milestones=(2, 4), milestone_offset=offset)
    for epoch in range(1, 6):
      drops = (epoch >= first_low) + (epoch >= first_low + 2)
      np.testing.assert_allclose(
        got[2 * epoch - 2 : 2 * epoch], 0.1 * 0.1**drops, rtol=1e-5
      )

  def test_mtard_and_trades_drops(self):
    for milestones, offset, low in (
      ((215, 260, 285), 1, (216, 261, 286)),
      ((75,), 0, (75,)),
    ):
      schedule = SCHEDULES['milestones'](
        300, 391, milestones=milestones, milestone_offset=offset
      )
      for drops, epoch in enumerate(low):
        start = (epoch - 1) * 391
        before, after = (float(schedule.rate(s)) for s in (start - 1, start))
        np.testing.assert_allclose(before, 0.1 * 0.1**drops, rtol=1e-5)
        np.testing.assert_allclose(after, 0.1 * 0.1 ** (drops + 1), rtol=1e-5)

  def test_second_drop_lost_as_in_the_code_of_ard(self):
    got = rates('milestones', 6, milestones=(2, 4), lr_bug=True)
    np.testing.assert_allclose(got[::2], [0.1, 0.1] + [0.01] * 4, rtol=1e-5)

  def test_triangular(self):
    got = rates('triangular', 4, peak=0.2)
    np.testing.assert_allclose(got, [0, 0.05, 0.1, 0.15, 0.2, 0.15, 0.1, 0.05], atol=1e-7)

  def test_schedule_longer_than_the_training(self):
    made = tiny.config('natural', schedule=dict(name='cosine', peak=1.0), schedule_len=8)
    rate = experiment.schedule(experiment.resolve(made), 5).rate
    np.testing.assert_allclose(rate(5), 0.5 * (1 + np.cos(np.pi / 8)), rtol=1e-5)

  def test_cosine(self):
    by_epoch = rates('cosine', 4, peak=1.0)
    np.testing.assert_allclose(
      by_epoch[::2], 0.5 * (1 + np.cos(np.pi * np.arange(4) / 4)), atol=1e-6
    )
    np.testing.assert_array_equal(by_epoch[::2], by_epoch[1::2])
    by_step = rates('cosine', 4, peak=1.0, unit='step', warmup_epochs=1)
    np.testing.assert_allclose(by_step[:3], [0, 0.5, 1.0], atol=1e-6)
    np.testing.assert_allclose(by_step[5], 0.5, atol=1e-6)

  def test_one_cycle_formulas_of_akd(self):
    schedule = SCHEDULES['one_cycle'](50, 196)
    total, top = 9800, 2939
    for s in (0, 1000, 2939, 5000, 9799):
      if s <= top:
        want = 0.21 + 0.5 * (0.0084 - 0.21) * (1 + np.cos(np.pi * s / top))
      else:
        share = (s - top) / (total - 1 - top)
        want = 8.4e-7 + 0.5 * (0.21 - 8.4e-7) * (1 + np.cos(np.pi * share))
      np.testing.assert_allclose(float(schedule.rate(s)), want, rtol=1e-4, atol=1e-8)
    momenta = [float(schedule.momentum(s)) for s in (0, top, total - 1)]
    np.testing.assert_allclose(momenta, [0.95, 0.85, 0.95], atol=1e-6)

  def test_exponential(self):
    np.testing.assert_allclose(
      rates('exponential', 3)[::2], [0.1, 0.09, 0.081], rtol=1e-5
    )

  @parameterized.parameters(
    ('milestones', dict(peak=0.0), 'peak'),
    ('milestones', dict(milestone_offset=2), 'milestone_offset'),
    ('cosine', dict(unit='batch'), 'unit'),
    ('cosine', dict(warmup_epochs=5), 'warmup_epochs'),
    ('one_cycle', dict(rise=1.5), 'rise'),
  )
  def test_mistakes(self, name, options, text):
    with self.assertRaisesRegex(InputError, text):
      SCHEDULES[name](5, 2, **options)


class SgdTest(parameterized.TestCase):
  @parameterized.parameters(False, True)
  def test_equals_pytorchs_rule(self, nesterov):
    schedule = SCHEDULES['milestones'](4, 1, peak=0.5, milestones=(2,))
    transform = sgd(schedule, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    theta, buffer = 2.0, 0.0
    params = {'w': jnp.float32(theta)}
    state = transform.init(params)
    for step, gradient in enumerate((1.0, -0.5, 0.25, 2.0)):
      changes, state = transform.update({'w': jnp.float32(gradient)}, state, params)
      params = optax.apply_updates(params, changes)
      decayed = gradient + 0.01 * theta
      buffer = 0.9 * buffer + decayed
      move = decayed + 0.9 * buffer if nesterov else buffer
      theta -= (0.5 if step < 2 else 0.05) * move
      self.assertAlmostEqual(float(params['w']), theta, places=5)

  def test_momentum_cycles(self):
    schedule = SCHEDULES['one_cycle'](10, 1, peak=1.0)
    transform = sgd(schedule, weight_decay=0.0)
    params = {'w': jnp.zeros(())}
    state = transform.init(params)
    step = jax.jit(transform.update)
    buffer = 0.0
    for count in range(10):
      changes, state = step({'w': jnp.ones(())}, state, params)
      buffer = float(schedule.momentum(count)) * buffer + 1.0
      want = -float(schedule.rate(count)) * buffer
      np.testing.assert_allclose(float(changes['w']), want, rtol=1e-4, atol=1e-7)

  def test_weight_rate(self):
    schedule = SCHEDULES['milestones'](2, 1, peak=0.1, milestones=(1,))
    for decays, second in ((True, 0.0025), (False, 0.025)):
      transform = weight_sgd(0.025, decays, schedule)
      state = transform.init(jnp.zeros(()))
      for want in (0.025, second):
        change, state = transform.update(jnp.ones(()), state)
        np.testing.assert_allclose(change, -want, rtol=1e-5)

  def test_mistakes(self):
    schedule = SCHEDULES['milestones'](2, 1)
    for options, text in (
      (dict(momentum=1.0), 'momentum'),
      (dict(weight_decay=-1), 'decay'),
    ):
      with self.assertRaisesRegex(InputError, text):
        sgd(schedule, **options)


class AverageTest(absltest.TestCase):
  def test_warm_up_rule(self):
    average = {'w': jnp.float32(1.0)}
    want = 1.0
    for step in range(30):
      params = {'w': jnp.float32(step)}
      average = update_average(average, params, jnp.int32(step), 0.7, warmup=True)
      share = min(0.7, (1 + step) / (10 + step))
      want = share * want + (1 - share) * step
      self.assertAlmostEqual(float(average['w']), want, places=4)

  def test_none_kept(self):
    self.assertEqual(update_average({}, {'w': jnp.ones(())}, jnp.int32(0), 0.9, True), {})


class WeightDecayTest(absltest.TestCase):
  def test_norms_can_be_left_out(self):
    """With no gradient, what moves is what decays."""
    run = tiny.Run(tiny.config('natural'))
    params = run.setup.init().nets['student'].params
    params = jax.tree.map(jnp.ones_like, params)
    still = jax.tree.map(jnp.zeros_like, params)
    schedule = SCHEDULES['milestones'](1, 1, peak=1.0)
    for everywhere in (True, False):
      tx = sgd(schedule, momentum=0.0, weight_decay=0.5, decay_norm=everywhere)
      moved, _ = tx.update(still, tx.init(params), params)
      for path, change in jax.tree_util.tree_leaves_with_path(moved):
        norm = 'bns' in jax.tree_util.keystr(path)
        want = 0 if norm and not everywhere else -0.5
        np.testing.assert_allclose(change, want, err_msg=jax.tree_util.keystr(path))


class TableTest(parameterized.TestCase):
  """Rows of `OPTIMIZERS`, each against optax's own, and as a config names them."""

  @parameterized.parameters(
    ('adamw', lambda rate: optax.adamw(rate, weight_decay=1e-4)),
    ('adam', optax.adam),
    ('lamb', lambda rate: optax.lamb(rate, weight_decay=1e-4)),
    ('lion', optax.lion),
    ('rmsprop', optax.rmsprop),
  )
  def test_as_optax(self, name, build):
    schedule = SCHEDULES['cosine'](4, 5, peak=0.01)
    ours, theirs = OPTIMIZERS[name](schedule), build(schedule.rate)
    params = {'w': jnp.arange(6.0).reshape(2, 3) - 2}
    states = [ours.init(params), theirs.init(params)]
    both = [params, params]
    for step in range(8):
      grads = {'w': jnp.sin(params['w'] + step)}
      for k, optimizer in enumerate((ours, theirs)):
        changes, states[k] = optimizer.update(grads, states[k], both[k])
        both[k] = optax.apply_updates(both[k], changes)
    np.testing.assert_allclose(both[0]['w'], both[1]['w'], rtol=1e-6)
    self.assertGreater(float(jnp.abs(both[0]['w'] - params['w']).max()), 1e-3)

  @parameterized.parameters(*OPTIMIZERS)
  def test_a_run_with_each(self, name):
    changes = {'optimizer.name': name}
    given = [f'{key}={value}' for key, value in changes.items()]
    given += [] if name == 'sgd' else ['schedule.peak=0.01']
    made = experiment.resolve(tiny.config('natural'), given)
    run = tiny.Run(made)
    before = jax.device_get(run.setup.init().nets['student'].params)
    state, rows = run.steps(run.setup.init(), 3)
    self.assertTrue(np.isfinite([row['loss'] for row in rows]).all())
    after = state.nets['student'].params
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), before, after)
    self.assertGreater(min(jax.tree.leaves(moved)), 0)

  def test_norms_without_decay(self):
    optimizer = OPTIMIZERS['adamw'](
      SCHEDULES['cosine'](4, 5, peak=0.01), weight_decay=0.5, decay_norm=False
    )
    params = {'norm': {'scale': jnp.ones(3)}, 'conv': {'kernel': jnp.ones(3)}}
    zeros = jax.tree.map(jnp.zeros_like, params)
    changes, _ = optimizer.update(zeros, optimizer.init(params), params)
    np.testing.assert_array_equal(changes['norm']['scale'], 0)
    np.testing.assert_allclose(changes['conv']['kernel'], -0.005, rtol=1e-6)

  def test_configs_of_before_the_name(self):
    old = tiny.config('natural')
    old.optimizer = dict(momentum=0.8, weight_decay=1e-3)
    found = experiment.resolve(old).optimizer
    self.assertEqual((found.name, found.momentum, found.nesterov), ('sgd', 0.8, False))

  @parameterized.parameters(
    (['optimizer=adamv'], "unknown optimizer.name 'adamv'; did you mean 'adam"),
    (['optimizer=adamv'], 'one of your own comes with --plugins=FILE'),
    (['optimizer=adamw'], r'schedule.peak is 0.1, a rate of SGD.*peak=0.001'),
    (['optimizer=adamw', 'schedule.peak=0.01', 'optimizer.b1=1'], 'b1 is 1.0'),
    (['optimizer=adamw', 'schedule.peak=0.01', 'optimizer.nesterov=true'], 'nesterov'),
    (
      ['optimizer=adam', 'schedule.peak=0.01', 'optimizer.weight_decay=1'],
      'weight_decay',
    ),
    (['optimizer=adamw', 'schedule=one_cycle', 'schedule.peak=0.01'], 'moves momentum'),
  )
  def test_refused(self, given, said):
    with self.assertRaisesRegex(InputError, said):
      experiment.resolve(tiny.config('natural'), given)


if __name__ == '__main__':
  absltest.main()
