"""Damage is noticed, and a checkpoint can be read on other devices."""

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest

from jaxrkd.runtime import sharding
from jaxrkd.runtime.checkpoint import Checkpoints, digest


def tree(value, devices=1):
  where = sharding.replicated(sharding.data_mesh(jax.devices()[:devices]))
  return sharding.put({'a': np.full((300,), value, np.float32), 'n': np.int32(7)}, where)


def shapes(devices):
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    tree(0, devices),
  )


class CheckpointTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = tiny.folder(self) / 'last'
    self.store = Checkpoints(self.folder)
    self.said = []
    for step in (1, 2, 3):
      self.store.save(step, tree(step), {'note': step})
    self.store.wait()

  def restored(self, devices=1):
    found = Checkpoints(self.folder).restore(shapes(devices), self.said.append)
    return found and (float(found[0]['a'][0]), found[1])

  def test_newest_on_any_number_of_devices(self):
    for devices in (1, 2, 8):
      self.assertEqual(self.restored(devices), (3.0, {'note': 3, 'step': 3}))
    self.assertEqual(self.store.steps(), [2, 3])
    self.assertEqual(self.said, [])

  def test_float64(self):
    # Not within `jax.enable_x64`, which the threads that read do not see.
    jax.config.update('jax_enable_x64', True)
    self.addCleanup(jax.config.update, 'jax_enable_x64', False)
    value = {'a': jnp.linspace(0, 1, 300), 'n': jnp.arange(7, dtype=jnp.uint32)}
    self.assertEqual(value['a'].dtype, jnp.float64)
    store = Checkpoints(self.folder.with_name('double'))
    store.save(1, value, {})
    found = store.restore(value, self.said.append)
    self.assertEqual(self.said, [])
    jax.tree.map(np.testing.assert_array_equal, found[0], value)
    store.close()

  def test_cut_file(self):
    for path in (self.folder / '3').rglob('d/*'):
      path.write_bytes(path.read_bytes()[:10])
    self.assertEqual(self.restored(), (2.0, {'note': 2, 'step': 2}))
    self.assertLen(self.said, 1)
    self.assertRegex(self.said[0], 'last/3 cannot be read.* bytes instead of')
    # Reading alone moves nothing; writing the step again sets the damaged one aside.
    self.assertTrue((self.folder / '3').is_dir())
    store = Checkpoints(self.folder)
    store.restore(shapes(1), self.said.append)
    store.save(3, tree(30), {})
    store.close()
    self.assertEqual(self.restored()[0], 30.0)

  def test_missing_file_without_noted_sizes(self):
    (self.folder.parent / 'last_sizes.json').unlink()
    (self.folder / '3' / 'record' / 'metadata').unlink()
    self.assertEqual(self.restored()[0], 2.0)

  def test_all_are_kept_where_asked(self):
    store = Checkpoints(self.folder.parent / 'kept', keep=None)
    for step in range(1, 5):
      store.save(step, tree(step), {'step': 10 * step})
    store.wait()
    self.assertEqual(store.steps(), [1, 2, 3, 4])
    state, record = store.restore(shapes(1), only=2)
    self.assertEqual((float(state['a'][0]), record), (2.0, {'step': 20}))
    store.close()

  def test_newer_ones_make_room_and_are_not_lost(self):
    """orbax alone would ignore step 2 after step 3."""
    store = Checkpoints(self.folder)
    store.set_aside_after(1)
    store.save(2, tree(20), {})
    store.close()
    self.assertEqual(self.restored()[0], 20.0)
    aside = self.folder.parent / 'last_aside'
    self.assertLen(list(aside.iterdir()), 2)

  def test_nothing_sound(self):
    for step in (2, 3):
      for path in (self.folder / str(step)).rglob('d/*'):
        path.write_bytes(b'')
    self.assertIsNone(self.restored())
    self.assertLen(self.said, 2)

  def test_digest_sees_one_bit_and_swapped_values(self):
    first = digest({'a': jnp.array([1.0, 2.0])})
    for other in ([1.0, 2.0000002], [2.0, 1.0]):
      self.assertNotEqual(int(first[0]), int(digest({'a': jnp.array(other)})[0]))


if __name__ == '__main__':
  absltest.main()
