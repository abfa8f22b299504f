"""Encoded images: folders, Parquet files and published layouts, and what may be wrong."""

import contextlib
import io
import json
import os
import sys
import types
from unittest import mock

import numpy as np
import pyarrow
import pyarrow.parquet
import scipy.io
import tiny
from absl.testing import absltest, parameterized
from PIL import Image

from jaxrkd import experiment
from jaxrkd.data import SOURCES, assemble, decoded_images, make_split, read_source
from jaxrkd.data.decode import Form, decoded, header
from jaxrkd.data.folder_layout import ordered
from jaxrkd.errors import InputError

RNG = np.random.default_rng(0)
COLOURS = {'blue': 2, 'green': 1, 'red': 0}


def photo(colour: str, height=12, width=16, seed=0):
  """A picture whose colour tells its class."""
  noise = np.random.default_rng(seed).integers(0, 80, (height, width, 3), np.uint8)
  noise[..., COLOURS[colour]] += 150
  return noise


def save(array, path):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(array).save(path)


class ImageFilesCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = tiny.folder(self)
    self.cache = tiny.folder(self)
    patch = mock.patch.dict(os.environ, JAXRKD_CACHE=str(self.cache))
    patch.start()
    self.addCleanup(patch.stop)

  def photos(self, train=4, test=2, colours=tuple(COLOURS)):
    for part, count in (('train', train), ('test', test)):
      for kind, colour in enumerate(colours):
        for k in range(count):
          seed = 100 * kind + k + (50 if part == 'test' else 0)
          save(photo(colour, seed=seed), self.root / part / colour / f'{k}.png')

  def read(self, name='folder', **options):
    return read_source(name, {'path': str(self.root), **options})

  def refused(self, text, name='folder', **options):
    with self.assertRaisesRegex(InputError, text) as caught:
      assemble(name, *self.read(name, **options))
    self.assertNotIn('\n', str(caught.exception))


class DecodeTest(ImageFilesCase):
  @parameterized.parameters('png', 'webp', 'bmp', 'ppm', 'tif')
  def test_what_is_lossless_comes_back(self, suffix):
    array = photo('red')
    file = self.root / f'a.{suffix}'
    Image.fromarray(array).save(file, **({'lossless': True} if suffix == 'webp' else {}))
    np.testing.assert_array_equal(decoded(file, Form(channels=3)), array)
    self.assertEqual(header(file)[:3], (16, 12, False))

  def test_jpeg_is_near(self):
    array = np.full((16, 16, 3), 100, np.uint8)
    file = self.root / 'a.jpg'
    Image.fromarray(array).save(file)
    self.assertLessEqual(int(np.abs(decoded(file, Form(channels=3)) - 100.0).max()), 2)

  def test_sixteen_bits_keep_the_upper_eight(self):
    levels = np.arange(0, 65536, 4096, dtype=np.uint16).reshape(4, 4)
    file = self.root / 'a.png'
    Image.fromarray(levels).save(file)
    self.assertTrue(header(file).grey)
    np.testing.assert_array_equal(decoded(file, Form(channels=1))[..., 0], levels >> 8)

  def test_orientation(self):
    array = photo('green')
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera that was held upright
    file = self.root / 'a.png'
    Image.fromarray(array).save(file, exif=exif)
    found = decoded(file, Form(channels=3))
    np.testing.assert_array_equal(found, np.rot90(array, -1))
    self.assertEqual(header(file)[:2], (12, 16))

  def test_palette_with_transparency(self):
    image = Image.fromarray(photo('blue')).convert('P')
    image.info['transparency'] = b'\x00' * 256
    file = self.root / 'a.png'
    image.save(file)
    self.assertTrue(header(file).transparent)
    self.assertEqual(decoded(file, Form(channels=3)).shape, (12, 16, 3))

  def test_middle_square(self):
    """A shrink by two is the mean of four; what is cut off does not count."""
    array = np.zeros((8, 16, 3), np.uint8)
    array[:, 4:12] = RNG.integers(0, 256, (8, 8, 3))
    file = self.root / 'a.png'
    Image.fromarray(array).save(file)
    box = decoded(file, Form(4, interpolation='box', channels=3))
    want = array[:, 4:12].reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(box, want, atol=1)  # rounded twice
    wide = decoded(file, Form(4, fit='stretch', interpolation='box', channels=3))
    want = array.reshape(4, 2, 4, 4, 3).mean((1, 3))
    np.testing.assert_allclose(wide, want, atol=1)
    inner = decoded(file, Form(4, resize=8, channels=3))
    np.testing.assert_array_equal(inner, array[2:6, 6:10])

  def test_the_right_size_is_left_alone(self):
    array = photo('red', 8, 8)
    file = self.root / 'a.png'
    Image.fromarray(array).save(file)
    for form in (Form(8, channels=3), Form(8, resize=8, channels=3)):
      np.testing.assert_array_equal(decoded(file, form), array)

  @parameterized.parameters(
    (dict(size=-1), 'data.size'),
    (dict(fit='pad'), "data.fit is 'pad'"),
    (dict(interpolation='cubic'), "data.interpolation is 'cubic'.*bicubic"),
    (dict(channels=4), 'data.channels is 4'),
    (dict(size=8, resize=4), 'data.resize is 4'),
    (dict(resize=8), 'data.resize is 8 with data.size=0'),
  )
  def test_wrong_options(self, options, text):
    self.photos()
    self.refused(text, **options)


class FolderTest(ImageFilesCase):
  def test_folders_by_class(self):
    self.photos()
    data = assemble('folder', *self.read())
    self.assertEqual(data.train.image.shape, (12, 12, 16, 3))
    self.assertEqual(data.train.names, ('blue', 'green', 'red'))
    self.assertEqual(data.test.names, ('blue', 'green', 'red'))
    # By the name of the file first.
    np.testing.assert_array_equal(data.train.label, [0, 1, 2] * 4)
    np.testing.assert_array_equal(data.train.image[4], photo('green', seed=101))
    np.testing.assert_array_equal(data.test.image[5], photo('red', seed=251))
    self.assertEqual(data.notes, ())

  def test_numbers_in_names(self):
    for k in range(12):
      save(photo('red', seed=k), self.root / 'train' / 'ab'[k % 2] / f'x{k}.png')
      save(photo('blue', seed=k), self.root / 'val' / 'ab'[k % 2] / f'{k}.png')
    train, _ = self.read()
    np.testing.assert_array_equal(train.label, [0, 1] * 6)
    np.testing.assert_array_equal(train.image[11], photo('red', seed=11))

  def test_decoded_once(self):
    self.photos()
    before = self.read(size=8)
    with mock.patch.object(decoded_images, 'decoded', side_effect=AssertionError):
      again = self.read(size=8)
    np.testing.assert_array_equal(again[0].image, before[0].image)
    # Another file, another size: not what was kept.
    save(photo('red', seed=999), self.root / 'train' / 'red' / '0.png')
    changed, _ = self.read(size=8)
    self.assertTrue((changed.image[2] != before[0].image[2]).any())
    self.assertEqual(self.read(size=4)[0].image.shape[1:], (4, 4, 3))

  def test_on_disk(self):
    self.photos()
    whole = assemble('folder', *self.read())
    with mock.patch.object(decoded_images, 'IN_MEMORY', 0):
      lazy = assemble('folder', *self.read())
    self.assertIsInstance(lazy.test.image, np.ndarray)
    self.assertNotIsInstance(lazy.train.image, np.ndarray)
    for part in ('train', 'test'):
      got, want = getattr(lazy, part), getattr(whole, part)
      np.testing.assert_array_equal(np.asarray(got.image), want.image)
      np.testing.assert_array_equal(got.label, want.label)

  def test_without_a_test_folder(self):
    for k in range(10):
      for colour, seed in (('red', 0), ('blue', 50)):
        save(photo(colour, seed=seed + k), self.root / colour / f'{k}.png')
    train, test = self.read(test_fraction=0.3)
    self.assertEqual((len(train), len(test)), (14, 6))
    np.testing.assert_array_equal(np.bincount(test.label), [3, 3])
    self.assertRegex(train.notes[0], '6 of 20 images, the same share of each class')
    # The same images, whatever they are called.
    for k in range(10):
      (self.root / 'red' / f'{k}.png').rename(self.root / 'red' / f'{100 - k}.png')
    renamed, other = self.read(test_fraction=0.3)
    as_set = lambda split: {image.tobytes() for image in split.image}
    self.assertEqual(as_set(other), as_set(test))
    self.assertEqual(as_set(renamed), as_set(train))
    self.refused('data.test_fraction is 0', test_fraction=0)

  def test_numbered_classes(self):
    names, notes = ordered(['10', '2', '2', '1'])
    self.assertEqual(names, ('1', '2', '10'))
    self.assertRegex(notes[0], 'sort by letters')
    self.assertEqual(ordered(['00010', '00002']), (('00002', '00010'), ()))

  def test_corrupt_files(self):
    self.photos()
    file = self.root / 'train' / 'red' / '1.png'
    file.write_bytes(file.read_bytes()[:100])
    (self.root / 'test' / 'red' / '0.png').write_text('no image')
    self.refused(
      r"2 images of 18 cannot be decoded, first 'train/red/1.png' \(.*skip_damaged=true"
    )
    data = assemble('folder', *self.read(skip_damaged=True))
    self.assertEqual((len(data.train), len(data.test)), (11, 5))
    self.assertRegex(data.notes[0], '2 images of 18 cannot be decoded: left out')
    np.testing.assert_array_equal(np.bincount(data.train.label), [4, 4, 3])

  def test_a_part_that_is_all_damaged(self):
    self.photos(test=1)
    for colour in COLOURS:
      (self.root / 'test' / colour / '0.png').write_text('no image')
    self.refused('none of 3 images can be decoded', skip_damaged=True)

  def test_a_class_that_test_lacks(self):
    self.photos()
    for k in range(2):
      (self.root / 'test' / 'red' / f'{k}.png').unlink()
    (self.root / 'test' / 'red').rmdir()
    data = assemble('folder', *self.read())
    self.assertLen(data.notes, 1)
    self.assertRegex(data.notes[0], 'test part .* no images of class 2')

  def test_a_class_that_train_lacks(self):
    self.photos()
    save(photo('red'), self.root / 'test' / 'yellow' / '0.png')
    self.refused("class 'yellow', which train/ does not have")

  def test_an_empty_class(self):
    self.photos()
    (self.root / 'train' / 'yellow').mkdir()
    self.refused("yellow' has no images but nothing; each folder")
    (self.root / 'train' / 'yellow' / 'x.heic').write_text('')
    self.refused("yellow' has no images but files such as 'x.heic'")

  def test_several_sizes(self):
    self.photos()
    save(photo('red', 40, 20, seed=7), self.root / 'train' / 'red' / '9.png')
    self.refused('images are of 2 sizes, from 16x12 to 20x40.*data.size=32')
    train, _ = self.read(size=16)
    self.assertEqual(train.image.shape, (13, 16, 16, 3))
    self.assertRegex(train.notes[0], '18 images of 19 smaller than asked for')

  def test_photographs(self):
    for colour in COLOURS:
      save(photo(colour, 300, 400), self.root / 'train' / colour / '0.png')
      save(photo(colour, 300, 400, 1), self.root / 'test' / colour / '0.png')
    self.refused('images are 400x300, larger than is trained on.*data.size')

  def test_grey(self):
    for part in ('train', 'test'):
      for k, kind in enumerate('ab'):
        array = RNG.integers(0, 256, (8, 8), np.uint8)
        save(array, self.root / part / kind / f'{k}.png')
    self.assertEqual(self.read()[0].image.shape, (2, 8, 8, 1))
    self.assertEqual(self.read(channels=3)[0].image.shape, (2, 8, 8, 3))

  def test_files_that_are_left_out(self):
    self.photos()
    save(photo('red'), self.root / 'train' / 'loose.png')
    (self.root / 'train' / 'red' / 'x.mp4').write_text('')
    (self.root / 'train' / 'red' / '.DS_Store').write_text('')
    (self.root / 'train' / '.hidden').mkdir()
    notes = self.read()[0].notes
    self.assertLen(notes, 2)
    self.assertRegex(notes[0], '1 images lie in .*train. itself, without a class')
    self.assertRegex(notes[1], r'1 files in .* no images by name \(.mp4\)')

  def test_several_test_folders(self):
    self.photos()
    save(photo('red', seed=77), self.root / 'val' / 'red' / '0.png')
    train, test = self.read()
    self.assertLen(test, 6)
    self.assertRegex(train.notes[0], 'val/ is not read; data.test_folder=val takes')
    self.assertLen(self.read(test_folder='val')[1], 1)
    self.refused("data.test_folder is 'x'.*it has: test, train, val", test_folder='x')

  def test_parts_by_other_names(self):
    for part in ('seg_train', 'seg_test'):
      for kind in 'ab':
        save(photo('red'), self.root / part / kind / '0.png')
    self.refused('seg_test/ and seg_train/ hold the same folders')

  def test_folders_beside_train(self):
    self.photos()
    save(photo('red'), self.root / 'lorry' / '0.png')
    self.assertRegex(self.read()[0].notes[0], 'lorry beside train/ .* are not read')
    for place in (self.root / 'test').rglob('*.png'):
      place.unlink()
    for place in sorted((self.root / 'test').iterdir()):
      place.rmdir()
    (self.root / 'test').rmdir()
    self.refused('has train/ and no test/, but lorry/ with images')

  def test_names_that_differ_by_case(self):
    self.photos()
    save(photo('red'), self.root / 'Test' / 'red' / '0.png')
    self.refused('has both .*est/ and .*est/')

  def test_the_training_folder_is_no_test(self):
    self.photos()
    self.refused('which is trained on', test_folder='train')

  def test_links(self):
    self.photos()
    (self.root / 'train/red/self').symlink_to(self.root / 'train/red')
    self.refused('a link to a folder that is read already')
    (self.root / 'train/red/self').unlink()
    (self.root / 'train/red/x.png').symlink_to(self.root / 'nowhere')
    self.refused('is a link to nothing')

  def test_hidden_folders(self):
    self.photos()
    save(photo('red'), self.root / 'train' / '.x' / '0.png')
    self.assertRegex(self.read()[0].notes[0], 'hidden folders with images.*: .x')

  def test_letters_that_look_like_digits(self):
    self.photos()
    for name in ('²1.png', '1²3.png', '٣1.png'):
      save(photo('red', seed=5), self.root / 'train' / 'red' / name)
    self.assertLen(self.read()[0], 15)

  def test_labels_that_are_repaired(self):
    """Two files that change places have the same sizes and times."""
    one, two = self.root / 'train/red/0.bmp', self.root / 'train/blue/0.bmp'
    self.photos()
    for path, colour in ((one, 'blue'), (two, 'red')):
      save(photo(colour, seed=3), path)
      os.utime(path, (1, 1))
    self.read()
    one.rename(self.root / 'x')
    two.rename(one)
    (self.root / 'x').rename(two)
    train, _ = self.read()
    # Blue is class 0, and its images come first of those called 0.
    np.testing.assert_array_equal(train.image[0], photo('blue', seed=3))

  def test_what_is_kept_is_checked(self):
    self.photos()
    want = np.array(self.read()[0].image)
    (folder,) = self.cache.iterdir()
    for text in ('{}', '[]', 'null', '{"damaged": []}', '{'):
      (folder / 'record.json').write_text(text)
      np.testing.assert_array_equal(self.read()[0].image, want)
    for array in (want[:5], want.astype(np.float32), want[0]):
      np.save(folder / 'images.npy', array)
      np.testing.assert_array_equal(self.read()[0].image, want)

  def test_faults_that_pass(self):
    """A file that cannot be read now is not damaged for ever."""
    self.photos()
    real = decoded_images.decoded

    def failing(encoded, form):
      if str(encoded).endswith('red/1.png'):
        raise PermissionError(13, 'Permission denied')
      return real(encoded, form)

    with mock.patch.object(decoded_images, 'decoded', failing):
      self.refused(r"red/1.png' cannot be read \(Permission denied\)", skip_damaged=True)
    self.assertLen(self.read()[0], 12)

  def test_a_class_that_is_all_damaged(self):
    self.photos()
    for part in ('train', 'test'):
      for path in (self.root / part / 'red').iterdir():
        path.write_bytes(b'')
    self.refused("no image of class 'red' can be decoded to train on", skip_damaged=True)

  def test_turned_tiff(self):
    exif = Image.Exif()
    exif[0x0112] = 6
    for part in ('train', 'test'):
      for k, colour in enumerate(('red', 'blue')):
        path = self.root / part / colour / f'{k}.tif'
        path.parent.mkdir(parents=True)
        Image.fromarray(photo(colour)).save(path, exif=exif)
    self.assertEqual(self.read()[0].image.shape, (2, 16, 12, 3))

  @parameterized.parameters(
    ('', "data.path '' is no folder"),
    ('~nobody-at-all', 'home is not known'),
    ('/no/such', 'is no folder'),
  )
  def test_no_folder(self, path, text):
    with self.assertRaisesRegex(InputError, text):
      SOURCES['folder'](path=path)

  def test_other_layouts(self):
    self.refused('no folders and no folders of images')
    save(photo('red'), self.root / 'a.png')
    self.refused('has 1 images and no folders of images')
    save(photo('red'), self.root / 'test' / 'red' / 'a.png')
    self.refused('has test/ but no train/')

  def test_a_place_that_cannot_be_written(self):
    self.photos()
    blocked = self.root / 'file'
    blocked.write_text('')
    with mock.patch.dict(os.environ, JAXRKD_CACHE=str(blocked / 'x')):
      self.refused('decoded images cannot be kept.*JAXRKD_CACHE')


class FromPhotosToStudentTest(ImageFilesCase):
  def test_a_robust_student_and_its_page(self):
    """Three classes, not square, a file that is damaged, a class that the test lacks."""
    self.photos(train=16, test=6)
    (self.root / 'train/red/3.png').write_text('no image')
    for path in (self.root / 'test/green').iterdir():
      path.unlink()
    (self.root / 'test/green').rmdir()
    made = tiny.config('sat', teachers=[], epochs=2)
    made.data = dict(
      name='folder', path=str(self.root), size=8, skip_damaged=True, heldout=8
    )
    workdir = tiny.folder(self) / 'run'
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      experiment.train_and_evaluate(experiment.resolve(made), workdir)
    printed = printed.getvalue()
    self.assertIn('1 image of 60 cannot be decoded: left out', printed)
    self.assertRegex(printed, 'test part .* no images of class 1')
    self.assertRegex(printed, 'student best, weakest class: (blue|red), ')
    found = json.loads((workdir / 'results.json').read_text())
    self.assertEqual(found['class_names'], ['blue', 'green', 'red'])
    row = found['student']['best']
    self.assertEqual(row['per_class']['images'], [6, 0, 6])
    page = (workdir / 'report.html').read_text()
    for text in ('>blue<', '>red<', 'cannot be decoded: left out'):
      self.assertIn(text, page)


class PublishedLayoutTest(ImageFilesCase):
  def tiny_imagenet(self, lines=6):
    for k, kind in enumerate(('n01', 'n02', 'n03')):
      for row in range(2):
        file = self.root / 'train' / kind / 'images' / f'{kind}_{row}.JPEG'
        save(photo(sorted(COLOURS)[k], 64, 64, row), file)
      (self.root / 'train' / kind / f'{kind}_boxes.txt').write_text('')
    table = []
    for row in range(6):
      kind = row % 3
      colour = sorted(COLOURS)[kind]
      save(photo(colour, 64, 64, 9 + row), self.root / 'val/images' / f'val_{row}.JPEG')
      table.append(f'val_{row}.JPEG\tn0{kind + 1}\t0\t0\t62\t62')
    text = '\n'.join(table[:lines])
    (self.root / 'val' / 'val_annotations.txt').write_text(text)
    save(photo('red', 64, 64, 99), self.root / 'test' / 'images' / 'test_0.JPEG')
    words = 'n01\tgoldfish, Carassius auratus\nn02\tcrane\nn03\tcrane, machine\nn04\tx\n'
    (self.root / 'words.txt').write_text(words)

  def test_tiny_imagenet(self):
    self.tiny_imagenet()
    train, test = self.read('tiny_imagenet')
    self.assertEqual(train.names, ('goldfish', 'crane (n02)', 'crane (n03)'))
    self.assertEqual(train.image.shape, (6, 64, 64, 3))
    np.testing.assert_array_equal(test.label, [0, 1, 2, 0, 1, 2])
    self.assertEqual(train.notes, ('test/ has no classes and is not read',))
    # The colour of each is that of its class.
    np.testing.assert_array_equal(
      test.image.mean((1, 2)).argmax(-1), [COLOURS[c] for c in sorted(COLOURS)] * 2
    )

  def test_annotations(self):
    self.tiny_imagenet(lines=5)
    self.assertRegex(self.read('tiny_imagenet')[0].notes[-1], '1 images .* stand not in')
    (self.root / 'val/images/val_0.JPEG').unlink()
    self.refused("lacks 1 of 5 images .* first 'val_0.JPEG'", 'tiny_imagenet')
    (self.root / 'val/val_annotations.txt').write_text('val_1.JPEG n01')
    self.refused('line 1 of .* a tab between them', 'tiny_imagenet')

  def gtsrb(self):
    base = self.root / 'GTSRB'
    for kind in (0, 1, 14, 42):
      folder = base / 'Final_Training/Images' / f'{kind:05d}'
      save(photo('red', 40, 30, kind), folder / '00000_00000.ppm')
      (folder / f'GT-{kind:05d}.csv').write_text('x')
    rows = ['Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId']
    for row, kind in enumerate((14, 0)):
      save(photo('red', 30, 40, 70 + row), base / f'Final_Test/Images/{row:05d}.ppm')
      rows.append(f'{row:05d}.ppm;40;30;5;5;30;20;{kind}')
    table = base / 'Final_Test/Images/GT-final_test.csv'
    table.write_text('\n'.join(rows))
    return table

  def test_gtsrb(self):
    table = self.gtsrb()
    train, test = self.read('gtsrb')
    np.testing.assert_array_equal(train.label, [0, 1, 14, 42])
    np.testing.assert_array_equal(test.label, [14, 0])
    self.assertEqual(train.names[14], 'stop')
    self.assertLen(train.names, 43)
    self.assertEqual(train.image.shape, (4, 32, 32, 3))
    file = self.root / 'GTSRB/Final_Training/Images/00014/00000_00000.ppm'
    stretched = decoded(file, Form(32, fit='stretch', channels=3))
    np.testing.assert_array_equal(train.image[2], stretched)
    table.write_text(table.read_text().replace(';14', ';43'))
    self.refused("has class '43'; those of GTSRB", 'gtsrb')
    whole = table.read_text().replace(';43', ';14')
    for text in (f'{whole}\n00000.ppm;1', f'{whole}\n{whole.splitlines()[1]}'):
      table.write_text(text)
      self.refused('rows without a class, or one file twice', 'gtsrb')
    table.write_bytes(b'\xef\xbb\xbf' + whole.encode())
    self.assertLen(self.read('gtsrb')[1], 2)
    table.write_bytes(b'\xe9')
    self.refused('cannot read .*GT-final', 'gtsrb')
    table.unlink()
    self.refused('has no GT-final_test.csv', 'gtsrb')

  def test_svhn_of_matlab_files(self):
    for part, count in (('train', 12), ('test', 10)):
      images = RNG.integers(0, 256, (32, 32, 3, count), np.uint8)
      labels = (np.arange(count) % 10 + 1)[:, None]
      scipy.io.savemat(self.root / f'{part}_32x32.mat', dict(X=images, y=labels))
    train, test = self.read('svhn')
    np.testing.assert_array_equal(train.label[:10], [*range(1, 10), 0])
    self.assertEqual(test.image.shape, (10, 32, 32, 3))

  def test_svhn_of_tfds(self):
    module = sys.modules['jaxrkd.data.svhn']
    with mock.patch.object(module, 'tfds') as asked:
      SOURCES['svhn'](data_dir='d', train_split='train+extra')
    asked.assert_called_once_with('svhn_cropped', 'd', 'train+extra')


class CorruptedTest(ImageFilesCase):
  def setUp(self):
    super().setUp()
    self.module = sys.modules['jaxrkd.data.cifar10_corrupted']
    self.enterContext(mock.patch.object(self.module, 'IMAGES', 4))
    made = lambda: make_split(
      RNG.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8), range(4), 'x'
    )
    self.asked = []

    def tfds(*args, **options):
      self.asked.append((*args, *options.values()))
      return made(), made()

    self.enterContext(mock.patch.object(self.module, 'tfds', tfds))

  def test_arrays(self):
    images = RNG.integers(0, 256, (20, 8, 8, 3), np.uint8)
    np.save(self.root / 'fog.npy', images)
    np.save(self.root / 'labels.npy', np.tile(np.arange(4), 5))
    _, test = self.read('cifar10_corrupted', corruption='fog', severity=2)
    np.testing.assert_array_equal(test.image, images[4:8])
    np.testing.assert_array_equal(test.label, range(4))
    self.refused('cannot read .*snow.npy', 'cifar10_corrupted', corruption='snow')
    np.save(self.root / 'labels.npy', np.arange(4))
    self.refused('10,000 images of each', 'cifar10_corrupted', corruption='fog')

  def test_tfds(self):
    read = lambda **options: read_source('cifar10_corrupted', options, 'd')
    read(corruption='glass_blur', severity=5)
    self.assertEqual(self.asked[0], ('cifar10', 'd'))
    self.assertEqual(
      self.asked[1], ('cifar10_corrupted/frosted_glass_blur_5', 'd', 'test', 'test')
    )
    with self.assertRaisesRegex(InputError, "data.corruption is 'frog'.*'fog'"):
      read(corruption='frog')
    with self.assertRaisesRegex(InputError, 'data.severity is 6'):
      read(severity=6)

  def test_names_are_those_of_tfds(self):
    from tensorflow_datasets.image_classification import cifar10_corrupted

    known = {each.name for each in cifar10_corrupted.Cifar10Corrupted.BUILDER_CONFIGS}
    names = [
      self.module.IN_TFDS.get(name, name)
      for name in (*self.module.CORRUPTIONS, *self.module.MORE)
    ]
    self.assertEqual({f'{name}_{k}' for name in names for k in range(1, 6)}, known)


def encoded(array):
  stream = io.BytesIO()
  Image.fromarray(array).save(stream, 'PNG')
  return stream.getvalue()


class ParquetTest(ImageFilesCase):
  def write(self, file, arrays, labels, names=('a', 'b'), **more):
    structs = [dict(bytes=encoded(a), path=f'{k}.png') for k, a in enumerate(arrays)]
    table = pyarrow.table({'img': structs, 'label': labels, **more})
    features = dict(
      img=dict(_type='Image'), label=dict(_type='ClassLabel', names=list(names))
    )
    noted = json.dumps(dict(info=dict(features=features)))
    place = self.root / file
    place.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(
      table.replace_schema_metadata({'huggingface': noted}), place
    )

  def pair(self, **more):
    arrays = RNG.integers(0, 256, (9, 8, 8, 3), np.uint8)
    labels = [0, 1, 1, 0, 0, 1, 1, 0, 1]
    self.write('data/train-00000-of-00002.parquet', arrays[:3], labels[:3], **more)
    self.write('data/train-00001-of-00002.parquet', arrays[3:6], labels[3:6], **more)
    self.write('data/test-00000-of-00001.parquet', arrays[6:], labels[6:], **more)
    return arrays, labels

  def test_files(self):
    arrays, labels = self.pair()
    train, test = self.read('parquet')
    np.testing.assert_array_equal(train.image, arrays[:6])
    np.testing.assert_array_equal(test.image, arrays[6:])
    np.testing.assert_array_equal(train.label, labels[:6])
    np.testing.assert_array_equal(test.label, labels[6:])
    self.assertEqual((train.names, test.names), (('a', 'b'),) * 2)

  def test_which_column(self):
    self.pair(coarse=[7, 7, 7], thumb=[b'', b'', b''])
    self.refused('which column is the image.*img, thumb', 'parquet')
    self.refused("data.image is 'im', .*did you mean 'img'", 'parquet', image='im')
    self.refused("data.image is 'coarse', which holds no", 'parquet', image='coarse')
    self.refused('classes are needed|labels', 'parquet', image='img', label='coarse')
    self.assertLen(self.read('parquet', image='img')[0], 6)

  def test_which_files(self):
    self.refused('has no .parquet files', 'parquet')
    arrays = RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)
    self.write('x/train.parquet', arrays, [0, 1])
    self.refused('name begins with test or validation', 'parquet')
    self.write('x/validation.parquet', arrays, [0, 1])
    self.assertLen(self.read('parquet')[1], 2)
    self.write('y/train.parquet', arrays, [0, 1])
    self.refused('in several folders, x, y', 'parquet')
    self.assertLen(self.read('parquet', subset='x')[0], 2)
    self.refused("no folder 'z'", 'parquet', subset='z')
    self.refused('data.test_split', 'parquet', subset='x', test_split='dev')

  def test_missing_and_foreign_files(self):
    arrays, _ = self.pair()
    (self.root / 'data/train-00001-of-00002.parquet').rename(self.root / 'x')
    self.refused('is one of 2 files by its name, and 1 are there', 'parquet')
    (self.root / 'x').rename(self.root / 'data/train-00001-of-00002.parquet')
    self.write('data/test_hard-00000-of-00001.parquet', arrays[:4], [0, 1, 0, 1])
    train, test = self.read('parquet')
    self.assertLen(test, 3)
    self.assertRegex(train.notes[0], 'test_hard-00000-of-00001.parquet .* are not read')

  def test_one_column_of_classes(self):
    arrays = RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)
    for name, column in (('train', 'fine'), ('test', 'coarse')):
      structs = [dict(bytes=encoded(a), path=None) for a in arrays]
      table = pyarrow.table({'img': structs, column: [0, 1]})
      pyarrow.parquet.write_table(table, self.root / f'{name}.parquet')
    self.refused("classes in 'fine', and test.parquet in 'coarse'", 'parquet')

  def test_images_beside(self):
    for k in range(2):
      save(photo('red', seed=k), self.root / f'{k}.png')
    rows = [dict(bytes=None, path=f'{k}.png') for k in range(2)]
    kind = pyarrow.struct([('bytes', pyarrow.binary()), ('path', pyarrow.string())])
    table = pyarrow.table({'img': pyarrow.array(rows, kind), 'label': [0, 1]})
    for name in ('train', 'test'):
      pyarrow.parquet.write_table(table, self.root / f'{name}.parquet')
    np.testing.assert_array_equal(self.read('parquet')[0].image[1], photo('red', seed=1))
    save(photo('red', seed=9), self.root / '1.png')
    np.testing.assert_array_equal(self.read('parquet')[0].image[1], photo('red', seed=9))

  def test_no_rows(self):
    self.pair()
    self.write('data/test-00000-of-00001.parquet', [], [])
    with self.assertRaises(InputError):
      self.read('parquet')

  def test_damaged(self):
    self.pair()
    file = self.root / 'data' / 'train-00001-of-00002.parquet'
    file.write_bytes(file.read_bytes()[:50])
    self.refused('cannot read .* as Parquet', 'parquet')

  def test_other_class_names(self):
    self.pair()
    arrays = RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)
    self.write('data/test-00000-of-00001.parquet', arrays, [0, 1], names=('b', 'a'))
    self.refused('names its classes b, a, but', 'parquet')

  def test_labels_that_are_hidden(self):
    arrays = RNG.integers(0, 256, (2, 8, 8, 3), np.uint8)
    self.write('train.parquet', arrays, [0, 1])
    self.write('test.parquet', arrays, [-1, -1])
    self.refused('2 negative', 'parquet')

  def test_path_or_dataset(self):
    self.refused('give one of them', 'parquet', dataset='x')
    with self.assertRaisesRegex(InputError, 'give one of them'):
      read_source('parquet')

  def test_without_the_package(self):
    self.enterContext(tiny.modules(datasets=None))
    with self.assertRaisesRegex(InputError, 'needs the package datasets'):
      read_source('parquet', dict(dataset='uoft-cs/cifar10'))

  def test_the_hub(self):
    arrays, labels = self.pair()
    files = lambda part: sorted((self.root / 'data').glob(f'{part}-*'))

    class Part:
      def __init__(self, part):
        self.table = pyarrow.concat_tables(
          [pyarrow.parquet.read_table(file) for file in files(part)]
        )
        self._fingerprint = part

      def with_format(self, name):
        assert name == 'arrow'
        return self

      def __getitem__(self, rows):
        return self.table

    hub = {'train': Part('train'), 'test': Part('test')}
    asked = []

    def load_dataset(name, subset):
      asked.append((name, subset))
      if name != 'us/digits':
        raise FileNotFoundError(f'no {name}\nand more')
      return hub

    fake = types.SimpleNamespace(load_dataset=load_dataset)
    with tiny.modules(datasets=fake):
      train, test = read_source('parquet', dict(dataset='us/digits'))
      self.assertEqual(asked, [('us/digits', None)])
      with self.assertRaisesRegex(InputError, r'cannot load .*\(no us/x\)'):
        read_source('parquet', dict(dataset='us/x'))
      with self.assertRaisesRegex(InputError, "no split 'dev'"):
        read_source('parquet', dict(dataset='us/digits', test_split='dev'))
    np.testing.assert_array_equal(train.image, arrays[:6])
    np.testing.assert_array_equal(test.label, labels[6:])


class SameDataTest(ImageFilesCase):
  """A set that is written down in any layout is the same set, in the same order."""

  def test_digits(self):
    train, test = SOURCES['digits']()
    structs = lambda part: [
      dict(bytes=encoded(image[..., 0]), path=None) for image in part.image
    ]
    for part, name in ((train, 'train'), (test, 'test')):
      for row, (image, label) in enumerate(zip(part.image, part.label)):
        save(image[..., 0], self.root / 'folder' / name / str(label) / f'{row}.png')
      table = pyarrow.table({'image': structs(part), 'label': part.label})
      pyarrow.parquet.write_table(table, self.root / f'{name}.parquet')
    parts = dict(train=train, test=test)
    arrays = {f'{k}_images': v.image for k, v in parts.items()}
    np.savez(
      self.root / 'a.npz', **arrays, **{f'{k}_labels': v.label for k, v in parts.items()}
    )
    want = assemble('digits', train, test, heldout=100)
    for name, path in (('folder', 'folder'), ('parquet', ''), ('npz', 'a.npz')):
      found = read_source(name, dict(path=str(self.root / path)))
      made = assemble(name, *found, heldout=100)
      for part in ('train', 'heldout', 'test'):
        got, other = getattr(made, part), getattr(want, part)
        np.testing.assert_array_equal(got.image, other.image)
        np.testing.assert_array_equal(got.label, other.label)
        # Where an image came from in its source; the digits are cut out of a whole.
        order = lambda index: np.argsort(np.argsort(index))
        np.testing.assert_array_equal(order(got.index), order(other.index))


if __name__ == '__main__':
  absltest.main()
