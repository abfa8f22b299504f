"""Batches from the host: those that lie on the devices, in the same order, from any step."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.data import SOURCES
from jaxrkd.data.lazy import LazyImages
from jaxrkd.data.stream import Stream
from jaxrkd.errors import InputError
from jaxrkd.experiment.load import load_trained
from jaxrkd.runtime import sharding
from jaxrkd.train.feed import Resident, make_feed


def write_set(folder, train=72, test=24, size=8):
  found = SOURCES['synthetic'](train=train, test=test, size=size, channels=1, classes=3)
  for name, split in zip(('train', 'test'), found):
    np.save(folder / f'{name}_images.npy', split.image)
    np.save(folder / f'{name}_labels.npy', split.label)


class StreamTest(absltest.TestCase):
  def test_order_and_state(self):
    read = lambda step: {'x': np.full(2, step)}
    stream = Stream(read, 20, first=3)
    self.assertEqual([int(next(stream)['x'][0]) for _ in range(4)], [3, 4, 5, 6])
    state = json.loads(json.dumps(stream.state()))
    next(stream)
    again = Stream(read, 20, state=state)
    self.assertEqual([int(next(again)['x'][0]) for _ in range(13)], list(range(7, 20)))
    with self.assertRaises(StopIteration):
      next(again)

  def test_lazy_images(self):
    base = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
    lazy = LazyImages(base).take(np.array([4, 0, 2]))
    self.assertEqual((lazy.shape, len(lazy), lazy.nbytes), ((3, 2, 2, 1), 3, 12))
    np.testing.assert_array_equal(np.asarray(lazy), base[[4, 0, 2]])
    np.testing.assert_array_equal(lazy[np.array([2, 0])], base[[2, 4]])


class FeedTest(parameterized.TestCase):
  @parameterized.parameters(dict(), dict(drop_last=True), dict(extra=True))
  def test_batches_are_those_on_the_devices(self, drop_last=False, extra=False):
    made = tiny.config('natural', drop_last=drop_last, stream='always')
    if extra:
      path = tiny.folder(self) / 'extra.npz'
      found, _ = SOURCES['synthetic'](train=30, test=1, size=8, channels=1, classes=3)
      np.savez(path, image=found.image, label=found.label)
      made.extra.path = str(path)
      made.label_smoothing = dict(amount=0.1, on='extra')
    run = tiny.Run(made, devices=2)
    order = lambda epoch: run.setup.order(jnp.int32(epoch))
    streamed, resident = make_feed(run.setup, order, 0, {}), Resident(run.setup, order)
    for step in range(run.setup.total_steps):
      (batch, positions), (whole, orders) = streamed.next(step), resident.next(step)
      want = orders[step % run.setup.steps_per_epoch]
      np.testing.assert_array_equal(positions[0], want)
      for name in ('image', 'label', 'index'):
        rows = np.asarray(whole[name])[np.maximum(want, 0)]
        np.testing.assert_array_equal(batch[name], rows)
        self.assertEqual(batch[name].sharding, sharding.rows(run.mesh))

  def test_runs_are_equal_and_resume(self):
    folder = tiny.folder(self)
    write_set(folder)
    rows, states = [], []
    for name, changes in (
      ('lies', dict(stream='never')),
      ('streams', dict(stream='always')),
      ('disk', dict(data=dict(name='npy', path=str(folder), heldout=16))),
    ):
      config = experiment.resolve(tiny.config('natural', **changes))
      home = folder / name
      experiment.train_and_evaluate(config, home, alone=False)
      if name == 'streams':
        # Once more from the checkpoint before the last.
        (home / 'results.json').unlink()
        last = home / 'checkpoints' / 'last'
        newest = max(last.iterdir(), key=lambda path: int(path.name))
        newest.rename(folder / 'gone')
        experiment.train_and_evaluate(config, home, alone=False)
      lines = (home / 'metrics.jsonl').read_text().splitlines()
      rows.append([r['loss'] for r in map(json.loads, lines) if 'loss' in r])
      found = load_trained(home, 'last', sharding.data_mesh())
      states.append(jax.tree.leaves(found.state))
      self.assertEqual(found.record.feed.get('next_index'), None if name == 'lies' else 8)
    # Two programs, of one of which the batch is chosen inside: equal up to rounding. Those
    # that stream are one program.
    self.assertEqual(rows[1], rows[2])
    for a, b in zip(states[1], states[2], strict=True):
      np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-6)
    for a, b in zip(states[0], states[1], strict=True):
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)

  def test_mistakes(self):
    folder = tiny.folder(self)
    source = SOURCES['npy']
    with self.assertRaisesRegex(InputError, 'is no folder'):
      source(path=str(folder / 'none'))
    with self.assertRaisesRegex(InputError, 'cannot read .*train_images.npy'):
      source(path=str(folder))
    write_set(folder)
    np.save(folder / 'train_labels.npy', np.int64(3))
    with self.assertRaisesRegex(InputError, 'train_labels.npy.*no array of several'):
      source(path=str(folder))
    np.savez(folder / 'x.npz', a=np.zeros(3))
    (folder / 'x.npz').rename(folder / 'train_images.npy')
    with self.assertRaisesRegex(InputError, 'train_images.npy.*no array of several'):
      source(path=str(folder))
    write_set(folder)
    np.save(folder / 'train_images.npy', np.zeros((3, 8, 8, 1)))
    with self.assertRaisesRegex(InputError, 'is float64 .* must be uint8'):
      source(path=str(folder))
    write_set(folder)
    np.save(folder / 'train_labels.npy', np.zeros(3, int))
    with self.assertRaisesRegex(InputError, r'\(72, 8, 8, 1\) and labels \(3,\)'):
      source(path=str(folder))
    with self.assertRaisesRegex(InputError, "config.stream is 'often'"):
      tiny.Run(tiny.config('natural', stream='often'))


if __name__ == '__main__':
  absltest.main()
