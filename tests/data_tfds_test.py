"""TFDS: what is read, and every reason why it is not, told apart."""

import errno
import io
import json
import pathlib
import shutil
import socket
import sys

import numpy as np
import requests
import tiny
from absl.testing import absltest, parameterized
from PIL import Image

from jaxrkd.data import SOURCES, assemble
from jaxrkd.errors import InputError

COUNTS = {'train': 30, 'test': 10}


def draw(split):
  rng = np.random.default_rng(len(split))
  return rng.integers(0, 256, (COUNTS[split], 32, 32, 3), np.uint8)


class TfdsTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    """A few images in TFDS's own format, written by its own builder."""
    super().setUpClass()
    import tensorflow_datasets

    cls.tfds = tensorflow_datasets
    cls.whole = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    with cls.generating(lambda: {split: examples(split) for split in COUNTS}):
      builder = tensorflow_datasets.builder(
        'cifar10', data_dir=cls.whole, file_format='array_record'
      )
      builder.download_and_prepare(file_format='array_record')

  @classmethod
  def generating(cls, make):
    builder = cls.tfds.builder_cls('cifar10')
    return absltest.mock.patch.object(
      builder, '_split_generators', lambda self, manager: make()
    )

  def copy(self, change=None):
    """A copy of the folder to spoil; `change` acts on dataset_info.json."""
    root = tiny.folder(self)
    shutil.copytree(self.whole / 'cifar10', root / 'cifar10')
    (place,) = (path.parent for path in root.rglob('dataset_info.json'))
    if change:
      info = json.loads((place / 'dataset_info.json').read_text())
      change(info)
      (place / 'dataset_info.json').write_text(json.dumps(info))
    return root, place

  def refused(self, message, root, **options):
    with self.assertRaisesRegex(InputError, message):
      SOURCES['tfds'](data_dir=str(root), **options)

  def fails_with(self, error, message):
    """Of a set that is not there, where downloading ends in `error`."""
    module = sys.modules['jaxrkd.data.tfds']
    self.enterContext(
      absltest.mock.patch.object(module, '_require_network', lambda: None)
    )

    def fail():
      raise error

    with self.generating(fail):
      self.refused(message, tiny.folder(self))

  def test_reads(self):
    train, test = SOURCES['cifar10'](data_dir=str(self.whole))
    # Named by what was prepared: these few images have numbers.
    self.assertEqual(train.names, tuple('0123456789'))
    two = assemble('cifar10', train, test, classes=('1', '0'))
    self.assertEqual((two.classes, two.train.names), (2, ('1', '0')))
    key = lambda images: sorted(image.tobytes() for image in images)
    self.assertEqual(key(train.image), key(draw('train')))
    self.assertEqual(key(test.image), key(draw('test')))
    self.assertEqual(assemble('cifar10', train, test).notes, ())
    self.assertEqual(np.bincount(train.label).tolist(), [3] * 10)

  def test_splits(self):
    read = lambda *splits: SOURCES['cifar10'](
      data_dir=str(self.whole), train_split=splits[0], test_split=splits[1]
    )
    train, test = read('train[:50%]+test', 'train[50%:]')
    self.assertEqual((len(train), len(test)), (25, 15))
    # A part that is also trained on is told.
    notes = assemble('cifar10', *read('train', 'train[50%:]')).notes
    self.assertRegex(notes[-1], '15 of 15 test images are training images too')
    self.refused('none may be empty', self.whole, test_split='test[:0]')
    self.refused(
      "has no split 'val' .it has: train, test.", self.whole, train_split='val'
    )
    self.refused('cannot be cut .*train.:x', self.whole, train_split='train[:x]')

  def test_no_test_split(self):
    only = lambda info: [part for part in info['splits'] if part['name'] == 'train']
    root, _ = self.copy(lambda info: info.update(splits=only(info)))
    message = (
      r"no split 'test' .it has: train.*data.test_split.*data.test_split=train.80%:"
    )
    # Who names a part to train on knows which part is left.
    self.refused(message, root, train_split='train[:90%]')
    train, test = SOURCES['cifar10'](data_dir=str(root))
    self.assertEqual((len(train), len(test)), (24, 6))
    self.assertRegex(train.notes[0], "cifar10 has no split 'test': the last fifth")
    self.assertEqual(assemble('cifar10', train, test).notes[:1], train.notes[:1])
    # As the sentence says.
    cut = dict(train_split='train[:80%]', test_split='train[80%:]')
    again, other = SOURCES['cifar10'](data_dir=str(root), **cut)
    np.testing.assert_array_equal(again.image, train.image)
    np.testing.assert_array_equal(other.image, test.image)

  def test_a_validation_split(self):
    def renamed(info):
      for part in info['splits']:
        part['name'] = part['name'].replace('test', 'validation')

    root, place = self.copy(renamed)
    for path in place.glob('*-test.*'):
      path.rename(str(path).replace('-test.', '-validation.'))
    train, test = SOURCES['cifar10'](data_dir=str(root))
    self.assertEqual((len(train), len(test)), (30, 10))
    self.assertRegex(train.notes[0], "no split 'test': 'validation' is measured on")

  def test_prepared_in_another_format(self):
    root, place = self.copy(lambda info: info.update(fileFormat='tfrecord'))
    for path in place.glob('*array_record*'):
      path.rename(str(path).replace('array_record', 'tfrecord'))
    self.refused("as tfrecord files.*file_format='array_record', data_dir=", root)

  def test_damaged_or_incomplete(self):
    root, place = self.copy()
    (shard,) = place.glob('*train*')
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    self.refused('cannot be read .*damaged or incomplete, delete .*cifar10', root)
    shard.unlink()
    self.refused('cannot be read .*damaged or incomplete, delete .*cifar10', root)

  def test_failed_checksum(self):
    kind = self.tfds.core.download.download_manager.NonMatchingChecksumError
    text = 'Artifact https://x.org/c.tar.gz, downloaded to y, has wrong checksum:\n* a'
    message = r'https://x\.org/c\.tar\.gz.*delete .*/downloads'
    self.fails_with(kind(text), message)
    wrapped = RuntimeError(text)
    wrapped.__cause__ = kind(text)
    self.fails_with(wrapped, message)

  @parameterized.parameters(
    (requests.exceptions.ConnectionError('Max retries'),),
    (requests.exceptions.ReadTimeout('slow'),),
    (TimeoutError('slow'),),
    (ConnectionResetError('reset'),),
  )
  def test_no_network(self, error):
    self.fails_with(error, 'is not in .* no network .*--data_dir or TFDS_DATA_DIR')

  def test_no_name_resolves(self):
    """TFDS itself would try for minutes."""
    error = socket.gaierror(-2, 'Name or service not known')
    self.enterContext(
      absltest.mock.patch.object(socket, 'getaddrinfo', side_effect=error)
    )
    self.enterContext(absltest.mock.patch('urllib.request.getproxies', return_value={}))
    with self.generating(lambda: self.fail('it went on')):
      self.refused('no network .*gaierror', tiny.folder(self))

  def test_other_reasons(self):
    download = self.tfds.core.download.util.DownloadError
    for error, message in (
      (
        download('Failed to get url u. HTTP code: 403.'),
        'server refuses .*HTTP code: 403',
      ),
      (OSError(errno.ENOSPC, 'No space left on device'), 'the disk of .* is full'),
      (OSError('Not enough disk space. Needed: 1 GiB'), 'the disk of .* is full'),
      (PermissionError(errno.EACCES, 'Permission denied'), 'is not open to you'),
      (
        ModuleNotFoundError(f"{'x ' * 500}No module named 'q'"),
        "module named 'q'.: prepare",
      ),
      (AssertionError('Manual directory m does not exist'), 'downloads/manual'),
      (RuntimeError('what nobody foresaw'), 'RuntimeError: what nobody foresaw'),
    ):
      self.fails_with(error, f'cifar10 .*{message}')

  def test_unknown_names(self):
    self.refused("did you mean 'cifar100'", self.whole, dataset='cifar1000')
    self.refused('cannot be opened .*configs and versions', 'x', dataset='cifar10:9.9.9')
    self.refused('cannot be opened .*nope not found', 'x', dataset='cifar10/nope')
    missing = ModuleNotFoundError("No module named 'q'")
    self.enterContext(
      absltest.mock.patch.object(self.tfds, 'builder', side_effect=missing)
    )
    self.refused("cannot be opened without .*'q'.: install it", 'x')

  @parameterized.parameters(
    ('imdb_reviews', 'has the features text, label; .*data.name=npz'),
    ('dsprites', "features image, label_.*has 'image' and 'label'"),
    ('lfw', "the feature 'label' of lfw .*one class number for each image"),
  )
  def test_no_classes_of_images(self, dataset, message):
    """Refused before anything is downloaded."""
    self.refused(message, tiny.folder(self), dataset=dataset)


def examples(split):
  for k, image in enumerate(draw(split)):
    png = io.BytesIO()
    Image.fromarray(image).save(png, 'PNG')
    png.seek(0)
    yield f'{split}_{k}', {'id': f'{split}_{k}', 'image': png, 'label': k % 10}


if __name__ == '__main__':
  absltest.main()
