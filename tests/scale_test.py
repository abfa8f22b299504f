"""Devices and parts of batches: the same results, and no communication but the expected."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.runtime import sharding
from jaxrkd.train import micro
from jaxrkd.train.flops import count_flops

COLLECTIVES = re.compile(
  r' (all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)(?:-start)?\('
)


def wide(method, **changes):
  """Large enough that some parameters are split."""
  made = tiny.config(method, batch_size=16, **tiny.AUGMENTED, **changes)
  made.student = dict(name='convnet', widths=(16, 128), strides=(1, 2))
  made.optimizer = dict(momentum=0.9, weight_decay=2e-4)
  made.ema = dict(decay=0.5)
  return made


class PartsTest(parameterized.TestCase):
  @parameterized.parameters(0, 2, 4, 8, 100)
  def test_rows_come_back_in_order(self, size):
    mesh = sharding.data_mesh(jax.devices()[:2])
    batch = {'x': jnp.arange(24.0).reshape(8, 3), 'scale': jnp.float32(2)}

    def function(part):
      y = part['x'] * part['scale']
      return y, jnp.stack([y, -y])

    run = lambda b: micro.in_parts(function, b, size, (0, 1), mesh)
    for one, other in zip(jax.jit(run)(batch), function(batch)):
      np.testing.assert_array_equal(one, other)

  @parameterized.parameters('mtard', 'mmard', 'rslad', 'at_aka')
  def test_micro_batches_change_nothing(self, method):
    found, flops = [], []
    with jax.enable_x64(True):
      for size in (0, 4):
        run = tiny.Run(tiny.config(method, micro_batch=size))
        state, rows = run.steps(run.setup.init(), 2)
        found.append((jax.tree.leaves(state.nets), [row['loss'] for row in rows]))
        given = state, run.teachers, run.images, run.setup.order(jnp.int32(0))
        flops.append(count_flops(run.setup.train_step, *given))
    # Nothing is computed again for it, teachers' answers neither.
    self.assertEqual(*flops)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)
    for a, b in zip(found[0][0], found[1][0], strict=True):
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)

  def test_memory_is_less(self):
    sizes = []
    for size in (0, 16):
      made = tiny.config(
        'mmard', batch_size=64, micro_batch=size, attack__steps=1, attack__step_size=0.1
      )
      made.data = dict(name='synthetic', train=64, test=24, size=16, classes=3)
      made.select.split = 'test'
      made.student = dict(name='resnet8', width=4)
      made.teachers.robust.config.data = made.data
      made.teachers.robust.config.select.split = 'test'
      made.teachers.robust.config.student = dict(name='resnet8', width=32)
      run = tiny.Run(made)
      order = run.setup.order(jnp.int32(0))
      given = run.setup.init(), run.teachers, run.images, order
      memory = run.setup.step.lower(*given).compile().memory_analysis()
      sizes.append(memory.temp_size_in_bytes)
    self.assertLess(sizes[1], 0.6 * sizes[0])

  def test_mistakes(self):
    with self.assertRaisesRegex(
      InputError, 'micro_batch is 4, but config.attack.bn=train'
    ):
      experiment.resolve(tiny.config('ard', micro_batch=4, attack__bn='train'))
    with self.assertRaisesRegex(InputError, 'micro_batch is 5, which does not divide'):
      tiny.Run(tiny.config('sat', micro_batch=5))
    with self.assertRaisesRegex(InputError, 'micro_batch is 4, which 8 devices do not'):
      tiny.Run(tiny.config('sat', micro_batch=4), devices=8)
    with self.assertRaisesRegex(InputError, 'mesh.fsdp is 3, .* 8 devices; .*1, 2, 4, 8'):
      sharding.data_mesh(fsdp=3)


class DevicesTest(parameterized.TestCase):
  def run_on(self, devices, fsdp=1, steps=3, **changes):
    made = wide('mtard', mesh=dict(fsdp=fsdp), **changes)
    run = tiny.Run(made, devices)
    state, rows = run.steps(run.setup.init(), steps)
    return run, state, [row['loss'] for row in rows]

  def test_one_to_eight_devices_give_equal_losses(self):
    with jax.enable_x64(True):
      _, state, losses = self.run_on(1)
      want = jax.tree.map(np.asarray, state.nets)
      for devices, fsdp in ((2, 1), (4, 2), (8, 1), (8, 8)):
        run, state, found = self.run_on(devices, fsdp)
        np.testing.assert_allclose(found, losses, rtol=1e-10)
        for a, b in zip(jax.tree.leaves(state.nets), jax.tree.leaves(want), strict=True):
          np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
        self.check_places(state, run.teachers, fsdp)

  def check_places(self, state, teachers, fsdp):
    """Large arrays are split, small ones copied, and stay so after a step."""
    large = 0
    for leaf in jax.tree.leaves((state, teachers)):
      parts = leaf.size // leaf.addressable_shards[0].data.size
      big = leaf.size >= sharding.LEAST_SPLIT
      self.assertEqual(parts, fsdp if big else 1)
      large += big
    self.assertGreaterEqual(large, 3)  # parameters, momentum, average

  def collectives(self, devices, fsdp=1):
    run, state, _ = self.run_on(devices, fsdp, steps=0)
    order = run.setup.order(jnp.int32(0))
    text = run.setup.step.lower(state, run.teachers, run.images, order).compile()
    lines = [x for x in text.as_text().splitlines() if COLLECTIVES.search(x)]
    return lines, run

  def test_only_expected_communication(self):
    lines, _ = self.collectives(4)
    kinds = {COLLECTIVES.search(line)[1] for line in lines}
    # Sums of gradients, of BatchNorm's statistics and of losses. Images and logits stay.
    self.assertEqual(kinds, {'all-reduce'})
    inside = [line for line in lines if 'while/body' in line]
    self.assertEmpty(inside)  # none at every step of the attack

  def test_fsdp_gathers_parameters_only(self):
    lines, run = self.collectives(4, 4)
    shapes = {
      tuple(leaf.shape)
      for leaf in jax.tree.leaves((run.setup.learner.like, run.teachers))
      if leaf.size >= sharding.LEAST_SPLIT
    }
    for line in lines:
      if 'all-gather' in line:
        found = re.findall(r'f32\[([\d,]+)\]', line.split(' all-gather')[0])
        gathered = {tuple(map(int, text.split(','))) for text in found}
        self.assertTrue(gathered & shapes, line)

  def test_no_recompilation_and_no_transfer_inside_a_step(self):
    run, state, _ = self.run_on(4, steps=0)
    orders = [run.setup.order(jnp.int32(epoch)) for epoch in range(2)]
    give = run.teachers, run.images
    state, _ = run.setup.step(state, *give, orders[0])
    events = self.enterContext(tiny.compilations('/compile/'))
    with jax.transfer_guard('disallow'):
      for order in orders:
        for _ in range(run.setup.steps_per_epoch):
          state, scalars = run.setup.step(state, *give, order)
    self.assertEmpty(events)
    jax.jit(lambda x: x + 1)(state.step)
    self.assertNotEmpty(events)  # they would have been answers
    self.assertTrue(np.isfinite(float(scalars['loss'])))


if __name__ == '__main__':
  absltest.main()
