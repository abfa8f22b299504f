"""Corruptions against the published program, and accuracies under them."""

import contextlib
import hashlib
import io
import json
import pathlib
from unittest import mock

import numpy as np
import PIL
import tiny
from absl.testing import absltest, parameterized

from jaxrkd import experiment
from jaxrkd.data.cifar10_corrupted import CORRUPTIONS as PUBLISHED
from jaxrkd.data.cifar10_corrupted import MORE
from jaxrkd.data.corruptions import CORRUPTIONS, Random, corrupted
from jaxrkd.errors import InputError
from jaxrkd.evaluate import corruption_accuracy
from jaxrkd.evaluate.corruption_accuracy import COUNTED
from jaxrkd.experiment import run_report
from jaxrkd.experiment.load import read_config
from jaxrkd.programs import corruptions

# Of the authors' functions on one image with seed 0: the sum of all bytes and the beginning
# of their MD5, for each severity. ImageMagick's bytes are rounded.
VECTORS = {
  line.split()[0]: line.split()[1:]
  for line in (pathlib.Path(__file__).parent / 'data' / 'corruptions.txt')
  .read_text(encoding='utf-8')
  .splitlines()
}


def image():
  """What the numbers were computed on."""
  y, x, c = np.meshgrid(np.arange(32), np.arange(32), np.arange(3), indexing='ij')
  checks = 60 * ((x // 5 + y // 7) % 2) * (c != 1)
  return ((40 + 3 * y + 2 * x + 25 * c + checks + 7 * ((x * y) % 5)) % 256).astype(
    np.uint8
  )


class OracleTest(parameterized.TestCase):
  @parameterized.product(name=list(CORRUPTIONS), severity=[1, 2, 3, 4, 5])
  def test_as_published(self, name, severity):
    given = image()
    found = CORRUPTIONS[name](given.copy(), severity, Random(0))
    self.assertEqual((found.shape, found.dtype), ((32, 32, 3), np.uint8))
    total, digest = VECTORS[name][severity - 1].split('/')
    if name == 'jpeg_compression' and PIL.__version__ != '13.0.0':
      # Another library may round otherwise.
      self.assertLess(abs(int(found.astype(int).sum()) - int(total)), 1500)
      return
    self.assertEqual(int(found.astype(int).sum()), int(total))
    self.assertEqual(hashlib.md5(found.tobytes()).hexdigest()[:8], digest)

  def test_names(self):
    self.assertContainsSubset(CORRUPTIONS, (*PUBLISHED, *MORE))
    self.assertEqual(COUNTED, PUBLISHED)
    self.assertEqual(set(COUNTED) - set(CORRUPTIONS), {'frost'})
    self.assertEqual(set(VECTORS), set(CORRUPTIONS))

  def test_an_image_is_corrupted_alike_in_any_company(self):
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    index = np.array([7, 3, 9, 1])
    for name in ('gaussian_noise', 'glass_blur', 'snow'):
      whole = corrupted(images, name, 3, index)
      part = corrupted(images[[2, 0]], name, 3, index[[2, 0]])
      np.testing.assert_array_equal(part, whole[[2, 0]])
      self.assertTrue((corrupted(images, name, 3, index, seed=1) != whole).any())
    one = corrupted(images[[0, 0]], 'gaussian_noise', 1, np.array([0, 1]))
    self.assertTrue((one[0] != one[1]).any())

  def test_mistakes(self):
    images = np.zeros((1, 32, 32, 3), np.uint8)
    with self.assertRaisesRegex(InputError, "unknown corruption 'frog'.*'fog'"):
      corrupted(images, 'frog', 1, [0])
    for index in ([0, 1], [], [-1]):
      with self.assertRaisesRegex(InputError, 'a number from 0 for each image'):
        corrupted(images, 'fog', 1, index)
    with self.assertRaisesRegex(InputError, 'severity is 0'):
      corrupted(images, 'fog', 0, [0])
    with self.assertRaisesRegex(InputError, 'published for uint8'):
      corrupted(images[:, :8], 'fog', 1, [0])


class AccuracyTest(absltest.TestCase):
  def test_means(self):
    """A classifier whose answer is in the first pixel."""
    clean = np.ones((10, 1), np.uint8)
    right = lambda images: images[:, 0] > 0

    def spoiled(name, severity):
      images = clean.copy()
      images[: severity * (2 if name == 'snow' else 1)] = 0
      return images

    found = corruption_accuracy.corruption_accuracy(
      right, clean, spoiled, ['fog', 'snow', 'saturate']
    )
    np.testing.assert_allclose(found['accuracy']['fog'], [0.9, 0.8, 0.7, 0.6, 0.5])
    np.testing.assert_allclose(found['accuracy']['snow'], [0.8, 0.6, 0.4, 0.2, 0])
    # Saturate is none of the fifteen.
    self.assertAlmostEqual(found['mean_error'], (0.3 + 0.6) / 2)
    self.assertEqual((found['counted'], found['clean']), (2, 1))
    self.assertIn('not to be compared with an mCE', corruption_accuracy.said(found))
    text = corruption_accuracy.table(found)
    self.assertRegex(text, r'fog +90.00 +80.00 +70.00 +60.00 +50.00 +70.00')
    self.assertRegex(text, r'clean +100.00')
    alone = corruption_accuracy.corruption_accuracy(right, clean, spoiled, ['saturate'])
    self.assertIsNone(alone['mean_error'])
    self.assertIn('no mean error', corruption_accuracy.said(alone))
    every = corruption_accuracy.corruption_accuracy(right, clean, spoiled, COUNTED)
    self.assertEqual(every['left_out'], [])
    self.assertIn('mCE of CIFAR-10-C', corruption_accuracy.said(every))


class ProgramTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(cls.enterClassContext(tiny.temporary_folder()))
    made = tiny.config('natural', teachers=[], epochs=1)
    made.data.update(size=32, channels=3, train=48, test=12, heldout=16)
    made.student = dict(name='convnet', widths=(4,), strides=(4,))
    made.evaluation.attacks = dict(fgsm=dict())
    cls.run_folder = cls.root / 'run'
    with contextlib.redirect_stdout(io.StringIO()):
      experiment.train_and_evaluate(experiment.resolve(made), cls.run_folder)

  def measure(self, **options):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      found = corruptions.measure(self.run_folder, **options)
    return found, printed.getvalue()

  def test_made_here(self):
    names = ['brightness', 'contrast']
    found, printed = self.measure(names=names, images=10)
    results = json.loads((self.run_folder / 'results.json').read_text())
    self.assertEqual(found['images'], 10)
    self.assertEqual(list(found['accuracy']), names)
    self.assertIn('over 2 of 15 corruptions, without gaussian_noise', printed)
    kept = json.loads((self.run_folder / 'corruptions.json').read_text())
    self.assertEqual(kept, found)
    page = (self.run_folder / 'report.html').read_text()
    self.assertIn('<h2>Corruptions</h2>', page)
    self.assertIn('made here', page)
    whole, _ = self.measure(names=['contrast'])
    self.assertAlmostEqual(whole['clean'], results['student']['best']['clean'])
    self.assertIsNotNone(
      run_report.content(self.run_folder, self.run_folder / 'results.json').corruptions
    )

  def test_published_arrays(self):
    """Stored in another order: each image is found again."""
    config = experiment.resolve(read_config(self.run_folder), past=True)
    test = experiment.dataset(config).test
    order = np.random.default_rng(1).permutation(len(test))
    place = tiny.folder(self)
    module = corruptions.published.__globals__
    with mock.patch.dict(module, IMAGES=len(test)):
      for name in ('brightness', 'contrast'):
        parts = [
          corrupted(np.asarray(test.image), name, s, test.index)[order]
          for s in range(1, 6)
        ]
        np.save(place / f'{name}.npy', np.concatenate(parts))
      np.save(place / 'labels.npy', np.tile(test.label[order], 5))
      names = ['brightness', 'contrast']
      found, _ = self.measure(names=names, path=str(place))
      here, _ = self.measure(names=names)
      self.assertEqual(found['accuracy'], here['accuracy'])
      self.assertEqual((found['source'], here['source']), ('published', 'made here'))
      np.save(place / 'labels.npy', np.tile(test.label[order[::-1]], 5))
      with self.assertRaisesRegex(InputError, 'their labels differ'):
        self.measure(names=names, path=str(place))

  def test_images_that_are_others(self):
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    with self.assertRaisesRegex(InputError, 'some are like none, or several like one'):
      corruptions._matched(images, images[:1].repeat(6, 0))

  def test_images_of_another_form(self):
    small = tiny.config('natural', teachers=[], epochs=1)
    small.evaluation.attacks = dict(fgsm=dict())
    place = tiny.folder(self) / 'small'
    with contextlib.redirect_stdout(io.StringIO()):
      experiment.train_and_evaluate(experiment.resolve(small), place)
    with self.assertRaisesRegex(InputError, 'published for .32, 32, 3.'):
      corruptions.measure(place)
    with self.assertRaisesRegex(
      InputError, "unknown corruption 'frost'.*frost and spatter need"
    ):
      corruptions.measure(place, names=['frost'])


if __name__ == '__main__':
  absltest.main()
