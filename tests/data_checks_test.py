"""What people bring as images and labels: accepted, refused with a way out, or said."""

import contextlib
import dataclasses
import io
import pathlib
import re

import numpy as np
import scipy.io
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.data import SOURCES, Split, assemble, extra_images, make_split, with_extra
from jaxrkd.data.lazy import LazyImages
from jaxrkd.errors import InputError
from jaxrkd.experiment import run
from jaxrkd.experiment.data_notes import tell
from jaxrkd.programs import evaluate as remeasure
from jaxrkd.programs import plan

LABELS = np.arange(20) % 5


def draw(*shape, seed=0, top=256):
  return np.random.default_rng(seed).integers(0, top, shape, np.uint8)


IMAGES = draw(20, 4, 4, 3)
UNIT = IMAGES / 255


def split(images=IMAGES, labels=LABELS, what='a'):
  return make_split(images, labels, what)


def other(labels=LABELS, **options):
  """Images that are none of `IMAGES`."""
  return split(draw(len(labels), 4, 4, 3, seed=9, **options), labels)


def changed(values, row, value):
  values = values.copy()
  values[row] = value
  return values


class LabelTest(parameterized.TestCase):
  @parameterized.parameters(
    (LABELS[:, None],),
    (LABELS[None],),
    (LABELS.astype(np.float32),),
    (LABELS[:, None].astype(np.float64),),
    (LABELS.astype(np.uint64),),
    (list(LABELS),),
  )
  def test_accepted(self, labels):
    found = split(labels=labels).label
    np.testing.assert_array_equal(found, LABELS)
    self.assertEqual(found.dtype, np.int32)

  def test_booleans_are_two_classes(self):
    np.testing.assert_array_equal(split(labels=LABELS > 2).label, LABELS > 2)

  @parameterized.parameters(
    (np.eye(5)[LABELS], r'one-hot.*labels\.argmax\(-1\)'),
    (np.eye(5, dtype=np.uint8)[LABELS], r'one-hot.*labels\.argmax\(-1\)'),
    (np.eye(5)[LABELS] * 0.9 + 0.02, r'probabilities.*labels\.argmax\(-1\)'),
    (np.eye(5)[LABELS] + np.eye(5)[0], 'one class of each'),
    (LABELS / 2, 'must be integers from 0, got 0.5 .* 8 such of 20'),
    (changed(LABELS / 1, 3, np.nan), 'must be integers from 0, got nan .* 1 such'),
    (changed(LABELS / 1, 3, np.inf), 'must be integers from 0, got inf'),
    (changed(LABELS, 3, -1), '1 negative ones of 20, down to -1'),
    (changed(LABELS / 1, 3, -2), '1 negative ones of 20, down to -2'),
    (changed(LABELS, 3, 2**31), r'got 2147483648; .*np\.unique'),
    (changed(LABELS / 1, 3, 1e20), r'got 1e\+20; .*np\.unique'),
    (changed(LABELS.astype(np.uint64), 3, 2**64 - 1), 'got 18446744073709551615'),
    (
      np.array(['cat', 'dog'] * 10),
      r"names such as '?np.str_\('cat'\)|names such as 'cat'",
    ),
    (LABELS.astype(complex), 'got complex128'),
    (LABELS.astype(object), 'Python objects'),
    (LABELS[:19], r'labels \(19,\); expected \[N, H, W, C\]'),
    (LABELS.reshape(4, 5), r'labels \(4, 5\); expected'),
    (np.int64(3), r'labels \(\); expected'),
  )
  def test_refused(self, labels, message):
    with self.assertRaisesRegex(InputError, f'a: .*{message}|a: labels.*{message}'):
      split(labels=labels)

  def test_names_are_numbered_as_the_sentence_says(self):
    names = np.array(['ant', 'bee', 'cat', 'dog', 'eel'])[LABELS]
    found = split(labels=np.unique(names, return_inverse=True)[1])
    np.testing.assert_array_equal(found.label, LABELS)


class ImageTest(parameterized.TestCase):
  @parameterized.parameters(
    (IMAGES,), (UNIT,), (UNIT.astype(np.float32),), (np.asfortranarray(IMAGES),)
  )
  def test_accepted(self, images):
    found = split(images)
    np.testing.assert_array_equal(found.image, IMAGES)
    self.assertEqual((found.image.dtype, found.notes), (np.uint8, ()))

  def test_grey_without_channels_is_said(self):
    found = split(IMAGES[..., 0])
    self.assertEqual(found.image.shape, (20, 4, 4, 1))
    self.assertRegex(found.notes[0], r'\[20, 4, 4\] are taken as grey')

  @parameterized.parameters(
    (draw(20, 3, 32, 32), r'channels first.*images\.transpose\(0, 2, 3, 1\)'),
    (draw(20, 1, 28, 28), r'channels first.*images\.transpose\(0, 2, 3, 1\)'),
    (draw(20, 3, 32, 32) / 255, 'channels first'),
    (draw(32, 32, 3, 20), r'images come first: give np\.moveaxis\(images, -1, 0\)'),
    (draw(28, 28, 20), r'images come first: give np\.moveaxis\(images, -1, 0\)'),
    (draw(20, 3072), r'reshape\(-1, 3, 32, 32\)\.transpose\(0, 2, 3, 1\)'),
    (draw(20, 2, 4, 4, 3), 'expected .N, H, W, C.'),
    (np.zeros((20, 0, 4, 3), np.uint8), 'has no images'),
    (np.float64(3), 'expected .N, H, W, C.'),
    (IMAGES / 1, r'range over \[0, 255\].*: images\.astype\(np\.uint8\)'),
    (UNIT * 254.5, r'range over \[0, 254\.5\].*images / 255'),
    ((UNIT - 0.5) / 0.25, r'undo their normalisation.*student\.normalisation'),
    (UNIT * 2 - 1, r'range over \[-1, 1\].*undo their normalisation'),
    (UNIT * 1.001, r'images\.clip\(0, 1\)'),
    (UNIT * 4000, 'scale them so that 0 is black and 1 white'),
    (changed(UNIT, (7, 1), np.nan), '1 of 20 images .*no numbers.* image 7'),
    (changed(UNIT, (7, 1), -np.inf), '1 of 20 images .*no numbers.* image 7'),
    (IMAGES.astype(np.int64), r'int64 over \[0, 255\].*: images\.astype\(np\.uint8\)'),
    (IMAGES.astype(np.uint16) * 257, r'uint16.*\(images // 257\)'),
    (IMAGES.astype(np.int64) - 128, 'int64 over .*scale them'),
    (IMAGES > 99, r'bool.*images\.astype\(np\.uint8\) \* 255'),
    ((IMAGES > 99).astype(int), r'images\.astype\(np\.uint8\) \* 255'),
    (IMAGES.astype(complex), 'complex128'),
    (IMAGES.astype(object), r'Python objects.*np\.stack'),
    ([IMAGES[0]] * 19 + [IMAGES[0, :2]], r'no array .*np\.stack'),
  )
  def test_refused(self, images, message):
    with self.assertRaisesRegex(InputError, f'a(:| ).*{message}'):
      split(images)

  def test_what_the_sentences_say_is_accepted(self):
    flat = IMAGES.transpose(0, 3, 1, 2).reshape(20, -1)
    for images in (
      IMAGES.transpose(0, 3, 1, 2).transpose(0, 2, 3, 1),
      np.moveaxis(np.moveaxis(IMAGES, 0, -1), -1, 0),
      flat.reshape(-1, 3, 4, 4).transpose(0, 2, 3, 1),
      (IMAGES.astype(np.uint16) * 257 // 257).astype(np.uint8),
    ):
      np.testing.assert_array_equal(split(images).image, IMAGES)

  def test_few_pixels_of_many_channels_are_no_channels_first(self):
    self.assertEqual(split(draw(20, 4, 4, 8)).image.shape, (20, 4, 4, 8))


class ClassTest(parameterized.TestCase):
  @parameterized.parameters(
    (LABELS + 1, LABELS + 1, 'class 0 has no images, .*labels - 1'),
    (LABELS + 2, LABELS + 2, r'class 0 has no images, .*np\.unique'),
    (
      LABELS + (LABELS > 1),
      LABELS + (LABELS > 1),
      r'class 2 has no images, .*np\.unique',
    ),
    (LABELS * 10**8, LABELS * 10**8, 'class 1 has no images, .*from 0 to 400000000'),
    (LABELS * 0, LABELS * 0, 'class 1 has no images, all labels are 0'),
    (LABELS % 4, LABELS, 'class 4 has no training images, but 4 test images'),
    (LABELS, LABELS + 1, 'class 5 has no training images, but 4 test images'),
  )
  def test_refused_in_every_source(self, train, test, message):
    with self.assertRaisesRegex(InputError, f'mine: {message}'):
      assemble('mine', split(labels=train), other(test))

  def test_labels_as_the_sentences_say(self):
    gaps = np.unique(LABELS * 7, return_inverse=True)[1]
    for labels in (LABELS + 1 - 1, gaps):
      self.assertEqual(assemble('a', split(labels=labels), other(labels)).classes, 5)

  def test_nothing_is_said_of_what_is_right(self):
    self.assertEqual(assemble('a', split(), other()).notes, ())
    self.assertEqual(assemble('a', split(), other()).classes, 5)

  def test_more_held_out_than_trained_on(self):
    train, labels = draw(200, 4, 4, 3, seed=2), np.arange(200) % 5
    few = assemble('a', split(train, labels), other(), heldout=101)
    self.assertRegex(few.notes[0], '101 images of a are held out and 99 are trained on')
    self.assertEqual(assemble('a', split(train, labels), other(), heldout=99).notes, ())

  def test_parts_that_lack_a_class(self):
    # The digests of images decide which are held out.
    train, labels = draw(200, 4, 4, 3, seed=2), np.arange(200) % 5
    data = assemble('a', split(train, labels), other(), heldout=3, train_limit=6)
    self.assertLen(data.train, 3)
    for part, what, so in (
      (data.train, 'training', 'cannot learn'),
      (data.heldout, 'held-out', 'ignores'),
    ):
      absent = sorted(set(range(5)) - set(part.label.tolist()))
      named = ', '.join(map(str, absent))
      count = f'{len(absent)} of 5 classes .{named}.'
      found = [note for note in data.notes if f'the {what} part' in note]
      self.assertRegex(found[0], rf'\(3 images\) has no images of {count}: .*{so}')
    self.assertLen(data.notes, 2)
    data = assemble('a', split(), other(LABELS % 4))
    self.assertRegex(data.notes[0], 'test part .*no images of class 4: accuracies')

  def test_many_missing_classes_are_not_all_named(self):
    labels = np.arange(100)
    data = assemble('a', split(draw(100, 4, 4, 3), labels), other(LABELS))
    self.assertRegex(data.notes[0], r'95 of 100 classes \(5, 6, 7, 8, 9, \.\.\.\)')


class NoteTest(parameterized.TestCase):
  @parameterized.parameters(
    (2, 'nothing but 0 and 1 .*multiply them by 255.*8/255 is all of their range'),
    (1, 'nothing but 0 where'),
    (17, r'nothing but 0 \.\.\. 16 where 255 is white: an eps of 8/255 is 50% of'),
    (128, r'nothing but 0 \.\.\. 127'),
  )
  def test_bytes_that_are_scaled_wrong(self, top, message):
    dark = draw(20, 4, 4, 3, seed=3, top=top)
    data = assemble('a', split(dark), other())
    self.assertRegex(data.notes[0], f'a training images hold {message}')
    data = assemble('a', split(), split(dark))
    self.assertRegex(data.notes[0], f'a test images hold {message}')
    data = with_extra(assemble('a', split(), other()), split(dark), 'x.npz')
    self.assertRegex(data.notes[0], f"extra.path 'x.npz': images hold {message}")
    # Divided by 255 twice.
    data = assemble('a', split(dark / 255), other())
    self.assertRegex(data.notes[0], f'a training images hold {message}')
    # On disk.
    lazy = Split(LazyImages(dark), LABELS, np.arange(20))
    data = assemble('a', lazy, other())
    self.assertRegex(data.notes[0], f'a training images hold {message}')

  @parameterized.parameters((2, r'\[\.\.\., :1\]'), (4, r'\[\.\.\., :3\]'), (5, 'change'))
  def test_channels_that_are_no_colours(self, channels, way):
    pair = [split(draw(20, 6, 6, channels, seed=seed)) for seed in (0, 1)]
    notes = assemble('a', *pair).notes
    self.assertLen(notes, 1)
    self.assertRegex(notes[0], f'images have {channels} channels.*{way}')

  def test_test_images_that_are_learned_from(self):
    mixed = np.concatenate([IMAGES[:3], IMAGES[:1], draw(16, 4, 4, 3, seed=5)])
    data = assemble('a', split(), split(mixed))
    self.assertRegex(data.notes[0], '4 of 20 test images are training images too')
    # Those held out are not learned from.
    data = assemble('a', split(), split(), heldout=8)
    self.assertRegex(data.notes[-1], '12 of 20 test images are training images too')
    data = with_extra(assemble('a', split(), other()), other(), 'x.npz')
    self.assertRegex(data.notes[0], '20 of 20 test images are extra images too')

  def test_extra_images_are_checked_as_all_are(self):
    data = assemble('a', split(), other())
    found = with_extra(data, split(draw(20, 4, 4, 3, seed=7), LABELS % 4), 'x.npz')
    self.assertRegex(found.notes[0], "extra.path 'x.npz' has no images of class 4: if")
    with self.assertRaisesRegex(InputError, 'labels up to 5, but a has .* of 5 classes'):
      with_extra(data, split(labels=LABELS + 1), 'x.npz')
    with self.assertRaisesRegex(InputError, r'x\.npz: labels must .* got 0.5'):
      with_extra(data, dataclasses.replace(split(), label=LABELS / 2), 'x.npz')
    path = tiny.folder(self) / 'x.npz'
    np.savez(path, image=IMAGES.transpose(0, 3, 1, 2), label=np.eye(5)[LABELS])
    with self.assertRaisesRegex(InputError, r'x\.npz: labels .* are one-hot'):
      extra_images(str(path))

  def test_they_are_printed_before_training(self):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
      tell(assemble('a', split(), split()))
    self.assertRegex(out.getvalue(), '^note: 20 of 20 test images .*\n$')

  @parameterized.parameters(
    (run, 'train_teachers'), (plan, '_teachers'), (remeasure, 'train_teachers')
  )
  def test_programs_say_them_first(self, program, then):
    folder = tiny.folder(self)
    dark = draw(20, 4, 4, 3, top=2)
    arrays = dict(train_images=dark, train_labels=LABELS, test_labels=LABELS)
    np.savez(folder / 'x.npz', test_images=IMAGES, **arrays)
    config = tiny.config('natural', data=dict(name='npz', path=str(folder / 'x.npz')))
    config.select.split = 'test'
    config = experiment.resolve(config)
    (folder / 'config.json').write_text(config.to_json())
    begun = RuntimeError('training begins')
    out = io.StringIO()
    with (
      absltest.mock.patch.object(program, then, side_effect=begun),
      contextlib.redirect_stdout(out),
      self.assertRaisesRegex(RuntimeError, 'training begins'),
    ):
      if program is plan:
        program.dry_run(config)
      elif program is remeasure:
        program.remeasure(folder, [])
      else:
        program.train_and_evaluate(config, folder)
    self.assertRegex(out.getvalue(), 'note: npz training images hold nothing but 0 and 1')


class OwnSourceTest(parameterized.TestCase):
  """Splits that somebody made without `make_split`."""

  def test_arrays_are_mended(self):
    made = Split(UNIT, LABELS[:, None].astype(float), np.arange(20))
    train = assemble('mine', made, other()).train
    np.testing.assert_array_equal(train.image, IMAGES)
    np.testing.assert_array_equal(train.label, LABELS)
    self.assertEqual((train.label.dtype, train.index.dtype), (np.int32, np.int32))

  @parameterized.parameters(
    (dict(image=draw(20, 3, 32, 32)), 'channels first'),
    (dict(image=IMAGES / 1), r'range over \[0, 255\]'),
    (dict(label=LABELS + 1), 'class 0 has no training images'),
    (dict(label=np.eye(5)[LABELS]), 'one-hot'),
    (dict(image=LazyImages(draw(20, 3, 32, 32))), 'channels first'),
    (dict(image=LazyImages(UNIT)), 'on disk are float64'),
    (dict(image=LazyImages(IMAGES), label=LABELS / 2), 'must be integers'),
    (dict(image=LazyImages(IMAGES), label=np.eye(5)[LABELS]), 'one-hot'),
    (dict(index=np.zeros(20, int)), 'a number of its own for each'),
    (dict(index=np.arange(19)), 'a number of its own for each'),
    (dict(index=np.arange(20) + 2**30), 'a number of its own for each'),
  )
  def test_refused(self, changes, message):
    made = dataclasses.replace(split(), **changes)
    with self.assertRaisesRegex(InputError, f'mine.*({message})'):
      assemble('mine', made, other())

  def test_the_one_of_the_page(self):
    page = (pathlib.Path(__file__).parent.parent / 'docs' / 'data.md').read_text()
    (code,) = re.findall(r'```python\n([^`]*SOURCES\[[^`]*)```', page)
    with absltest.mock.patch.dict(SOURCES):
      exec(code, {})
      data = assemble('stripes', *SOURCES['stripes'](width=1))
    self.assertEqual((len(data.train), data.classes, data.notes), (500, 2, ()))

  def test_something_else(self):
    with self.assertRaisesRegex(InputError, r'mine test is a tuple; .*make_split'):
      assemble('mine', split(), (IMAGES, LABELS))


class FileTest(parameterized.TestCase):
  def test_npy_labels_are_those_of_all_sources(self):
    folder = tiny.folder(self)
    save = lambda name, values: np.save(folder / f'{name}.npy', values)
    save('train_images', IMAGES)
    save('test_images', draw(20, 4, 4, 3, seed=9))
    save('test_labels', LABELS)
    save('train_labels', LABELS[:, None].astype(np.float32))
    train, test = SOURCES['npy'](path=str(folder))
    self.assertIsInstance(train.image, LazyImages)
    np.testing.assert_array_equal(train.label, LABELS)
    self.assertEqual(assemble('npy', train, test).notes, ())
    for labels, message in (
      (np.eye(5)[LABELS], r'one-hot.*argmax\(-1\)'),
      (changed(LABELS / 1, 19, np.nan), 'got nan'),
      (changed(LABELS, 19, -1), 'negative'),
    ):
      save('train_labels', labels)
      with self.assertRaisesRegex(InputError, message):
        SOURCES['npy'](path=str(folder))
    save('train_labels', LABELS)
    save('train_images', draw(20, 3, 32, 32))
    with self.assertRaisesRegex(InputError, 'channels first'):
      SOURCES['npy'](path=str(folder))

  def test_npz_of_another_kind(self):
    folder = tiny.folder(self)
    path = lambda name: str(folder / name)
    scipy.io.savemat(path('x.mat'), dict(X=IMAGES))
    np.save(path('x.npy'), IMAGES)
    pathlib.Path(path('x.h5')).write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(99))
    pathlib.Path(path('x.html')).write_text('<html>')
    names = ('train_images', 'train_labels', 'test_images', 'test_labels')
    ragged = np.empty(2, object)
    np.savez(path('x.npz'), **dict.fromkeys(names, ragged))
    for name, message in (
      ('x.mat', 'data.name=mat .*scipy.io.loadmat and np.savez'),
      ('x.npy', 'data.name=npy'),
      ('x.h5', 'h5py'),
      ('x.html', r'\(it is not one\)'),
      ('x.npz', 'Python objects.*np.stack'),
    ):
      with self.assertRaisesRegex(InputError, f'cannot read data.path .*{message}'):
        SOURCES['npz'](path=path(name))


class MatTest(parameterized.TestCase):
  def folder(self, labels, images=None):
    folder = tiny.folder(self)
    for name, seed in (('train', 0), ('test', 1)):
      drawn = draw(len(labels), 4, 4, 3, seed=seed)
      given = np.moveaxis(drawn, 0, -1) if images is None else images
      arrays = dict(X=given, y=labels[:, None])
      scipy.io.savemat(folder / f'{name}_32x32.mat', arrays)
    return str(folder)

  def test_svhn(self):
    labels = np.tile(np.arange(1, 11, dtype=np.uint8), 3)
    found = assemble('mat', *SOURCES['mat'](path=self.folder(labels)))
    np.testing.assert_array_equal(found.train.label, labels % 10)
    np.testing.assert_array_equal(found.train.image, draw(30, 4, 4, 3))
    np.testing.assert_array_equal(found.test.image, draw(30, 4, 4, 3, seed=1))
    self.assertEqual(found.classes, 10)
    self.assertRegex(found.notes[0], 'labels are 1 ... 10, as in SVHN; 10 becomes 0')
    self.assertLen(found.notes, 1)

  def test_as_many_images_as_lines(self):
    images = np.moveaxis(draw(4, 4, 4, 3), 0, -1)
    given = self.folder(np.array([0, 1, 1, 0]), images)
    train, _ = SOURCES['mat'](path=given)
    np.testing.assert_array_equal(train.image, draw(4, 4, 4, 3))

  def test_other_labels_stay(self):
    train, test = SOURCES['mat'](path=self.folder(LABELS))
    np.testing.assert_array_equal(train.label, LABELS)
    self.assertEqual(assemble('mat', train, test).notes, ())
    train, test = SOURCES['mat'](path=self.folder(LABELS + 1))
    with self.assertRaisesRegex(InputError, 'class 0 has no images, .*labels - 1'):
      assemble('mat', train, test)

  def test_mistakes(self):
    read = SOURCES['mat']
    with self.assertRaisesRegex(InputError, 'is no folder; .*train_32x32.mat'):
      read(path=str(tiny.folder(self) / 'none'))
    folder = tiny.folder(self)
    with self.assertRaisesRegex(InputError, 'cannot read .*train_32x32.mat'):
      read(path=str(folder))
    for content, message in (
      (b'<html>' * 99, 'cannot read .* as a MATLAB file'),
      (b'', 'cannot read .* as a MATLAB file'),
      (b'MATLAB 7.3 MAT-file'.ljust(124) + b'\x00\x02IM' + bytes(99), 'version 7.3.*-v7'),
    ):
      (folder / 'train_32x32.mat').write_bytes(content)
      with self.assertRaisesRegex(InputError, message):
        read(path=str(folder))
    whole = pathlib.Path(self.folder(LABELS)) / 'train_32x32.mat'
    data = whole.read_bytes()
    for length in (100, 130, 150, 300, len(data) - 200):
      whole.write_bytes(data[:length])
      with self.assertRaisesRegex(InputError, 'as a MATLAB file|has no array'):
        read(path=str(whole.parent))
    renamed = tiny.folder(self)
    scipy.io.savemat(renamed / 'train_32x32.mat', dict(images=IMAGES, y=LABELS))
    with self.assertRaisesRegex(InputError, r"has no array 'X'; .*\(found: images, y\)"):
      read(path=str(renamed))
    with self.assertRaisesRegex(InputError, 'expected .N, H, W, C.'):
      read(path=self.folder(LABELS, images=draw(7, 7, 3, 9)))
    for labels, message in (
      (np.eye(5)[LABELS], r'one-hot.*labels\.argmax\(-1\)'),
      (np.array(['one', 'two'] * 10), 'names such as|expected'),
      (np.array([['one', 'two']] * 10, object), 'expected .N, H, W, C.'),
      (np.zeros((3, 7, 2)), 'expected .N, H, W, C.'),
      (np.zeros((0, 0)), 'expected .N, H, W, C.'),
      (LABELS / 2, 'got 0.5'),
    ):
      arrays = dict(X=np.moveaxis(IMAGES, 0, -1), y=labels)
      scipy.io.savemat(folder / 'train_32x32.mat', arrays)
      with self.assertRaisesRegex(InputError, message):
        read(path=str(folder))


if __name__ == '__main__':
  absltest.main()
