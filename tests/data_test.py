"""Sources, splits, batches and augmentation."""

import dataclasses
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.data import SOURCES, assemble
from jaxrkd.data.augment import crop_and_flip
from jaxrkd.data.batches import epoch_order, gather, plain_order, steps_per_epoch, uniform
from jaxrkd.data.dataset import make_split, split_off
from jaxrkd.errors import InputError


def images(count=20, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (count, 4, 4, 3), np.uint8), np.arange(count) % 5


class SourceTest(parameterized.TestCase):
  def test_digits(self):
    train, test = SOURCES['digits']()
    self.assertEqual((train.image.shape, len(test)), ((1347, 8, 8, 1), 450))
    self.assertEqual((train.image.dtype, train.image.max()), (np.uint8, 255))
    self.assertFalse(set(train.index) & set(test.index))
    # Every digit has its share of the test images.
    self.assertGreater(np.bincount(test.label).min(), 30)

  def test_synthetic_sizes(self):
    train, test = SOURCES['synthetic'](train=7, test=5, size=6, channels=1, classes=3)
    self.assertEqual((train.image.shape, test.image.shape), ((7, 6, 6, 1), (5, 6, 6, 1)))
    self.assertEqual(set(train.label), {0, 1, 2})

  def test_npz_of_floats_and_bytes(self):
    folder = tiny.folder(self)
    raw, labels = images()
    arrays = dict(train_labels=labels, test_labels=labels)
    for kind, values in (('bytes', raw), ('floats', raw / 255)):
      path = folder / f'{kind}.npz'
      np.savez(path, train_images=values, test_images=values, **arrays)
      train, _ = SOURCES['npz'](path=str(path))
      np.testing.assert_array_equal(train.image, raw)

  def test_npz_mistakes(self):
    folder = tiny.folder(self)
    raw, labels = images()
    full = dict(
      train_images=raw, train_labels=labels, test_images=raw, test_labels=labels
    )
    for change, text in (
      (dict(test_labels=None), "no array 'test_labels'"),
      (dict(train_images=raw / 1.0), r'range over \[0, 255\]'),
      (dict(train_labels=labels[:5]), 'labels'),
      (dict(train_labels=labels / 2), 'labels must be integers from 0, got 0.5'),
      (dict(train_images=raw.astype(np.int64)), 'images are int64'),
    ):
      arrays = {k: v for k, v in {**full, **change}.items() if v is not None}
      np.savez(folder / 'bad.npz', **arrays)
      with self.assertRaisesRegex(InputError, text):
        SOURCES['npz'](path=str(folder / 'bad.npz'))
    (folder / 'page.npz').write_text('<html>')
    for name, text in (
      ('page.npz', 'cannot read data.path'),
      ('absent.npz', 'data.path .* does not exist; give the path of a .npz file'),
    ):
      with self.assertRaisesRegex(InputError, text):
        SOURCES['npz'](path=str(folder / name))

  def test_tfds_reads_real_cifar(self):
    root = os.environ.get('TFDS_DATA_DIR', os.path.expanduser('~/tensorflow_datasets'))
    there = [n for n in ('cifar10', 'cifar100') if (pathlib.Path(root) / n).is_dir()]
    if not there:
      self.skipTest(f'no CIFAR in {root}; set TFDS_DATA_DIR to test it')
    train, test = SOURCES[there[0]](data_dir=root)
    self.assertEqual((train.image.shape, len(test)), ((50000, 32, 32, 3), 10000))
    self.assertEqual(
      set(np.bincount(train.label)), {50000 // (int(train.label.max()) + 1)}
    )


class ClassesTest(parameterized.TestCase):
  def split(self, count, names=('a', 'b', 'c', 'd', 'e')):
    return dataclasses.replace(make_split(*images(count), 'x'), names=names)

  @parameterized.parameters(
    ((1, 0), (1, 0)), (('e', 1), (4, 1)), ((2, 'a', 'd'), (2, 0, 3))
  )
  def test_chosen_classes_are_numbered_anew(self, classes, numbers):
    train, test = self.split(20), self.split(10)
    found = assemble('x', train, test, classes=classes)
    self.assertEqual(found.classes, len(numbers))
    for whole, part in ((train, found.train), (test, found.test)):
      want = [row for row in range(len(whole)) if whole.label[row] in numbers]
      np.testing.assert_array_equal(part.index, whole.index[want])
      np.testing.assert_array_equal(part.image, whole.image[want])
      self.assertEqual(
        [numbers[label] for label in part.label], [whole.label[row] for row in want]
      )

  @parameterized.parameters(
    (('f', 1), "has 'f', which x does not have .*0 to 4, or a, b, c, d, e"),
    ((5, 1), 'has 5, which x does not have'),
    ((True, 2), 'has True, which x does not have'),
    (('a', 0), 'names class 0 of x twice'),
    ((1,), 'keeps one class of x'),
  )
  def test_mistakes_in_classes(self, classes, message):
    with self.assertRaisesRegex(InputError, message):
      assemble('x', self.split(20), self.split(10), classes=classes)

  def test_in_a_config(self):
    config = tiny.config('natural', teachers=[])
    config.data, config.select.split = dict(name='digits'), 'test'
    config = experiment.resolve(config, ['data.classes=3,8'])
    found = experiment.dataset(config)
    train, _ = SOURCES['digits']()
    self.assertEqual(found.classes, 2)
    self.assertLen(found.train, np.isin(train.label, (3, 8)).sum())
    # Synthetic images are made with as many classes as one says.
    made = experiment.resolve(tiny.config('natural', teachers=[]), ['data.classes=4'])
    self.assertEqual(experiment.dataset(made).classes, 4)
    with self.assertRaisesRegex(InputError, 'are labelled for all'):
      experiment.resolve(config, ['data.classes=3,8', 'extra.path=x.npz'])


class SplitTest(absltest.TestCase):
  def test_the_same_images_are_held_out_in_any_order(self):
    raw, labels = images(50)
    turned = np.random.default_rng(1).permutation(50)
    first = split_off(make_split(raw, labels, 'a'), 10)[1]
    second = split_off(make_split(raw[turned], labels[turned], 'b'), 10)[1]
    key = lambda split: sorted(image.tobytes() for image in split.image)
    self.assertEqual(key(first), key(second))
    np.testing.assert_array_equal(raw[first.index], first.image)

  def test_parts_are_disjoint_and_complete(self):
    split = make_split(*images(50), 'a')
    data = assemble('a', split, make_split(*images(9, seed=1), 'b'), heldout=8)
    self.assertEqual((len(data.train), len(data.heldout), len(data.test)), (42, 8, 9))
    self.assertEqual(set(data.train.index) | set(data.heldout.index), set(range(50)))

  def test_limits_keep_the_classes(self):
    split = make_split(*images(50), 'a')
    data = assemble('a', split, split, heldout=2, train_limit=6, test_limit=3)
    self.assertEqual((len(data.train), len(data.heldout), len(data.test)), (4, 2, 3))
    self.assertEqual(data.classes, 5)

  def test_nothing_left(self):
    split = make_split(*images(5), 'a')
    with self.assertRaisesRegex(InputError, 'heldout is 5, but a has 5'):
      assemble('a', split, split, heldout=5)


class BatchTest(parameterized.TestCase):
  @parameterized.product(count=(12, 13), drop_last=(True, False))
  def test_an_epoch_shows_every_image_once(self, count, drop_last):
    key = jax.random.key(0)
    order = np.asarray(epoch_order(key, 3, uniform(count), 4, drop_last))
    self.assertEqual(len(order), steps_per_epoch(count, 4, drop_last))
    shown = order[order >= 0]
    self.assertLen(set(shown), len(shown))
    self.assertLen(shown, 12 if drop_last else count)
    np.testing.assert_array_equal(
      order, epoch_order(key, 3, uniform(count), 4, drop_last)
    )
    self.assertTrue(
      np.any(order != np.asarray(epoch_order(key, 4, uniform(count), 4, drop_last)))
    )

  def test_gather_masks_padding(self):
    data = {'label': jnp.arange(5) * 10}
    batch = gather(data, jnp.asarray(plain_order(5, 4)[1]))
    np.testing.assert_array_equal(batch['mask'], [1, 0, 0, 0])
    self.assertEqual(int(batch['label'][0]), 40)


class AugmentTest(absltest.TestCase):
  def test_every_shift_and_mirror_occurs_and_nothing_else(self):
    image = jnp.arange(1, 10).reshape(3, 3, 1)
    padded = np.pad(np.asarray(image), ((1, 1), (1, 1), (0, 0)))
    allowed = set()
    for top in range(3):
      for left in range(3):
        crop = padded[top : top + 3, left : left + 3]
        allowed |= {crop.tobytes(), np.ascontiguousarray(crop[:, ::-1]).tobytes()}
    keys = jax.random.split(jax.random.key(0), 400)
    found = jax.vmap(lambda key: crop_and_flip(key, image, pad=1, flip=True))(keys)
    self.assertEqual({np.asarray(crop).tobytes() for crop in found}, allowed)

  def test_off(self):
    image = jnp.arange(9).reshape(3, 3, 1)
    same = crop_and_flip(jax.random.key(0), image, pad=0, flip=False)
    np.testing.assert_array_equal(same, image)


if __name__ == '__main__':
  absltest.main()
