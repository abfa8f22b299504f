"""Adversarial images as PNG files: those that are still adversarial there."""

import csv

import numpy as np
import tiny
from absl.testing import absltest, parameterized
from PIL import Image

from jaxrkd.errors import InputError
from jaxrkd.evaluate.eight_bits import eight_bits
from jaxrkd.experiment import png_files


class PngTest(parameterized.TestCase):
  @parameterized.parameters(1, 3)
  def test_what_is_wrong_is_written(self, channels):
    folder = tiny.folder(self) / 'png'
    rng = np.random.default_rng(0)
    clean = rng.random((4, 5, 6, channels)).astype(np.float32)
    moved = np.clip(clean + rng.uniform(-0.1, 0.1, clean.shape), 0, 1)
    made = png_files.rounded(moved)
    labels, index = np.array([0, 1, 2, 0]), np.array([7, 3, 12, 40])
    found = {
      'pgd': (made, np.array([0, 2, 2, 1])),
      'fog': (made[::-1], np.array([0, 1, 2, 2])),
    }
    right = np.ones(4, bool)
    given = folder, clean, labels, right, index, found, ['a', 'b', 'c']
    rows = png_files.write(*given)
    written = sorted(str(p.relative_to(folder)) for p in folder.rglob('*.png'))
    want = ['000003', '000040']
    self.assertEqual(
      written,
      [*(f'clean/{n}.png' for n in want), 'fog/000040.png']
      + [f'pgd/{n}.png' for n in want],
    )
    back = np.asarray(Image.open(folder / 'pgd' / '000003.png'))
    np.testing.assert_array_equal(back.reshape(made[1].shape), made[1])
    same = np.asarray(Image.open(folder / 'clean' / '000040.png'))
    np.testing.assert_array_equal(
      same.reshape(5, 6, channels), png_files.rounded(clean[3])
    )
    with (folder / 'index.csv').open() as file:
      told = list(csv.DictReader(file))
    self.assertEqual([row['file'] for row in told], [row['file'] for row in rows])
    self.assertEqual(
      told[0],
      {
        'file': 'pgd/000003.png',
        'clean_file': 'clean/000003.png',
        'attack': 'pgd',
        'index': '3',
        'label': 'b',
        'prediction': 'c',
      },
    )

  def test_files_of_before(self):
    folder = tiny.folder(self) / 'png'
    clean = np.zeros((2, 4, 4, 3), np.float32)
    made, labels = (clean * 255).astype(np.uint8), np.zeros(2, int)

    def write(attack, correct, predictions):
      found = {attack: (made, np.array(predictions))}
      png_files.write(folder, clean, labels, np.array(correct), np.arange(2), found)
      return sorted(str(path.relative_to(folder)) for path in folder.rglob('*.png'))

    # What is wrong without an attack is not adversarial.
    self.assertLen(write('pgd', [True, False], [1, 1]), 2)
    self.assertEqual(
      write('fog', [True, True], [0, 1]), ['clean/000001.png', 'fog/000001.png']
    )
    (folder / 'index.csv').unlink()
    with self.assertRaisesRegex(
      InputError, "holds other files, such as 'clean'; name an"
    ):
      write('fog', [True, True], [0, 1])

  @parameterized.parameters(np.float32, np.float64)
  def test_rounding_stays_in_the_ball(self, dtype):
    rng = np.random.default_rng(0)
    clean = (rng.integers(0, 256, (20, 5, 5, 3)) / 255).astype(dtype)
    made = np.clip(clean + rng.uniform(-0.12, 0.12, clean.shape), 0, 1).astype(dtype)
    kept = eight_bits(made, clean) / 255
    self.assertTrue(np.all(np.abs(kept - clean) <= np.abs(made - clean) + 1e-6))
    self.assertLess(np.abs(kept - made).max(), 1 / 255)
    # What has 8 bits keeps them.
    np.testing.assert_array_equal(eight_bits(kept.astype(dtype), clean), kept * 255)

  def test_other_channels(self):
    images = np.zeros((1, 4, 4, 2), np.float32)
    with self.assertRaisesRegex(InputError, '2 channels, and a PNG holds 1 or 3'):
      png_files.write(tiny.folder(self), images, *[np.zeros(1)] * 3, {})


if __name__ == '__main__':
  absltest.main()
