"""Further images: files and folders of them, in memory and on disk."""

import os

import jax.numpy as jnp
import numpy as np
import tiny
from absl.testing import absltest, parameterized

from jaxrkd.data import extra_images, make_split
from jaxrkd.data import notes as data_notes
from jaxrkd.data.lazy import LazyImages
from jaxrkd.data.notes import common_notes
from jaxrkd.data.shards import RowsOnDisk, Shards, rows_in_npz, rows_of_npy
from jaxrkd.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 8, 1), np.uint8)
LABELS = np.arange(40) % 3


class ShardsTest(parameterized.TestCase):
  def test_rows_on_disk(self):
    folder = tiny.folder(self)
    np.save(folder / 'x.npy', IMAGES)
    np.savez(folder / 'x.npz', label=LABELS, image=IMAGES)
    np.savez_compressed(folder / 'y.npz', image=IMAGES)
    self.assertIsNone(rows_in_npz(folder / 'y.npz', 'image'))
    asked = [
      np.array([3]),
      np.array([5, 6, 7, 2, 2, 39, 0]),
      np.arange(40),
      np.array([], np.int64),
    ]
    for rows in (rows_of_npy(folder / 'x.npy'), rows_in_npz(folder / 'x.npz', 'image')):
      self.assertEqual((rows.shape, rows.dtype), (IMAGES.shape, np.uint8))
      for which in asked:
        np.testing.assert_array_equal(rows[which], IMAGES[which])

  def test_pieces(self):
    folder = tiny.folder(self)
    np.save(folder / 'x.npy', IMAGES)
    self.enterContext(absltest.mock.patch('jaxrkd.data.shards.PIECE', 100))
    np.testing.assert_array_equal(rows_of_npy(folder / 'x.npy')[np.arange(40)], IMAGES)

  def test_several_arrays_are_one(self):
    folder = tiny.folder(self)
    np.save(folder / 'x.npy', IMAGES[:15])
    parts = [rows_of_npy(folder / 'x.npy'), IMAGES[15:16], IMAGES[16:]]
    whole = Shards(parts)
    self.assertLen(whole, 40)
    for which in (np.arange(40), np.array([39, 0, 14, 15, 16, 15]), np.array([], int)):
      np.testing.assert_array_equal(whole[which], IMAGES[which])

  def test_a_file_that_becomes_shorter(self):
    folder = tiny.folder(self)
    np.save(folder / 'x.npy', IMAGES)
    rows = rows_of_npy(folder / 'x.npy')
    os.truncate(folder / 'x.npy', 1000)
    with self.assertRaisesRegex(InputError, 'has become shorter'):
      rows[np.array([39])]
    with self.assertRaisesRegex(ValueError, 'shorter than its'):
      rows_of_npy(folder / 'x.npy')

  def test_files_are_closed(self):
    folder = tiny.folder(self)
    np.save(folder / 'x.npy', IMAGES)
    before = len(os.listdir('/proc/self/fd'))
    rows = rows_of_npy(folder / 'x.npy')
    rows[np.array([1])]
    self.assertLen(os.listdir('/proc/self/fd'), before + 1)
    del rows
    self.assertLen(os.listdir('/proc/self/fd'), before)


class ExtraTest(parameterized.TestCase):
  def folder(self, kind):
    folder = tiny.folder(self)
    for number, part in enumerate((slice(0, 25), slice(25, 40))):
      image, label = IMAGES[part], LABELS[part]
      if kind == 'npy':
        np.save(folder / f'image_{number}.npy', image)
        np.save(folder / f'label_{number}.npy', label)
      elif kind == 'floats':
        np.savez(folder / f'{number}.npz', image=image / 255, label=label)
      elif kind == 'compressed':
        np.savez_compressed(folder / f'{number}.npz', image=image, label=label)
      else:
        np.savez(folder / f'{number}.npz', image=image, label=label)
    return folder

  @parameterized.product(
    kind=('npz', 'npy', 'compressed', 'floats'), in_memory=(0, 10**6)
  )
  def test_folders(self, kind, in_memory):
    found = extra_images(str(self.folder(kind)), in_memory)
    lazy = isinstance(found.image, LazyImages)
    self.assertEqual(lazy, not in_memory)
    np.testing.assert_array_equal(np.asarray(found.image), IMAGES)
    np.testing.assert_array_equal(found.label, LABELS)
    np.testing.assert_array_equal(found.index, np.arange(40))
    if lazy and kind in ('npz', 'npy'):
      parts = found.image._base._parts
      self.assertTrue(all(isinstance(part, RowsOnDisk) for part in parts))

  def test_one_large_file_stays_on_disk(self):
    path = tiny.folder(self) / 'x.npz'
    np.savez(path, image=IMAGES, label=LABELS)
    self.assertIsInstance(extra_images(str(path), 100).image, LazyImages)
    self.assertIsInstance(extra_images(str(path)).image, np.ndarray)
    np.savez(path, image=IMAGES[..., 0], label=LABELS)
    self.assertEqual(extra_images(str(path), 100).image.shape, IMAGES.shape)

  @parameterized.parameters(
    (dict(), "has neither .npz nor .npy files"),
    (dict(a_npz=1, image_npy=IMAGES), 'has both .npz and .npy files'),
    (dict(image_npy=IMAGES), "has no 'label.npy' beside it"),
    (dict(label_npy=LABELS), 'has no file of images beside it'),
    (dict(x_npy=IMAGES), 'is neither images nor labels by its name'),
    (dict(image_npy=IMAGES, label_npy=LABELS[:7]), r'images have shape .* labels'),
    (dict(image_npy=IMAGES, label_npy=LABELS - 1), 'negative|below 0|from 0'),
    (
      dict(
        image_a_npy=IMAGES, label_a_npy=LABELS, image_b_npy=IMAGES[:, :4],
        label_b_npy=LABELS,
      ),
      r'image_b.npy has images \[4, 8, 1\], but .*image_a.npy \[8, 8, 1\]',
    ),
  )  # fmt: skip
  def test_folders_that_are_refused(self, files, message):
    folder = tiny.folder(self)
    for name, values in files.items():
      np.save(folder / 'one.npy', values)
      os.rename(folder / 'one.npy', folder / '.'.join(name.rsplit('_', 1)))
    with self.assertRaisesRegex(InputError, message):
      extra_images(str(folder))

  def test_what_is_not_read(self):
    folder = self.folder('npz')
    np.savez(folder / '.hidden.npz', image=IMAGES, label=LABELS)
    (folder / 'README').write_text('none')
    os.rename(folder / '1.npz', folder / '1.NPZ')
    self.assertLen(extra_images(str(folder)), 40)
    (folder / 'more').mkdir()
    with self.assertRaisesRegex(InputError, "a folder in it, 'more', which would not be"):
      extra_images(str(folder))

  def test_a_changed_byte(self):
    folder = self.folder('npz')
    data = bytearray((folder / '1.npz').read_bytes())
    place = data.index(IMAGES[30].tobytes())
    data[place] ^= 1
    (folder / '1.npz').write_bytes(data)
    with self.assertRaisesRegex(InputError, 'cannot read .*CRC'):
      extra_images(str(folder))

  def test_damaged_files(self):
    folder = self.folder('npy')
    np.save(folder / 'image_0.npy', np.asfortranarray(IMAGES[:25]))
    with self.assertRaisesRegex(InputError, 'ascontiguousarray'):
      extra_images(str(folder))
    folder = self.folder('npy')
    (folder / 'image_0.npy').write_bytes(b'none')
    with self.assertRaisesRegex(InputError, 'cannot read .*image_0.npy.*write it again'):
      extra_images(str(folder))
    folder = self.folder('npz')
    np.savez(folder / '0.npz', label=LABELS)
    with self.assertRaisesRegex(InputError, r"has no array 'image'.*found: label"):
      extra_images(str(folder))
    np.savez(folder / '0.npz', image=IMAGES)
    with self.assertRaisesRegex(InputError, "has no array 'label'"):
      extra_images(str(folder))
    (folder / '1.npz').write_bytes(b'none')
    np.savez(folder / '0.npz', image=IMAGES, label=LABELS)
    with self.assertRaisesRegex(InputError, 'cannot read .*1.npz'):
      extra_images(str(folder))

  def test_training_is_bit_for_bit_that_of_images_in_memory(self):
    folder = self.folder('npz')
    one = tiny.folder(self) / 'all.npz'
    np.savez(one, image=IMAGES, label=LABELS)
    losses = []
    for path, limit in ((one, 10**6), (folder, 10**6), (folder, 0)):
      made = tiny.config('sat', teachers=[])
      made.extra.path = str(path)
      self.enterContext(
        absltest.mock.patch('jaxrkd.data.extra.extra_images.__defaults__', (limit,))
      )
      run = tiny.Run(made)
      self.assertEqual(run.setup.streamed, not limit)
      if run.setup.streamed:
        losses.append(self.streamed_losses(run))
      else:
        losses.append([row['loss'] for row in run.steps(run.setup.init(), 3)[1]])
    self.assertEqual(losses[0], losses[1])
    self.assertEqual(losses[0], losses[2])

  def streamed_losses(self, run):
    from jaxrkd.train.feed import make_feed

    order = lambda epoch: run.setup.order(jnp.int32(epoch))
    feed, state, found = make_feed(run.setup, order, 0, {}), run.setup.init(), []
    for step in range(3):
      state, row = run.setup.step(state, run.teachers, *feed.next(step))
      found.append(float(row['loss']))
    return found


class LeakTest(absltest.TestCase):
  def test_test_images_on_disk_are_noted(self):
    learned = make_split(IMAGES, LABELS, 'x')
    lazy = learned.__class__(LazyImages(IMAGES), learned.label, learned.index)
    test = make_split(IMAGES[[3, 3, 30]], LABELS[:3], 'test')
    other = make_split(255 - IMAGES[:3], LABELS[:3], 'test')
    self.enterContext(absltest.mock.patch.object(data_notes, 'PIECE', 7))
    for split in (learned, lazy):
      (note,) = common_notes(split, test, 'extra')
      self.assertIn('3 of 3 test images are extra images too', note)
      self.assertEqual(common_notes(split, other, 'extra'), [])
    self.enterContext(absltest.mock.patch.object(data_notes, 'COMPARED', 10))
    unread, note = common_notes(lazy, test, 'extra')
    self.assertIn('only the first 10 of 40 extra images were compared', unread)
    self.assertIn('2 of 3 test images', note)


if __name__ == '__main__':
  absltest.main()
