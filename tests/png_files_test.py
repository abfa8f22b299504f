"""Adversarial images as PNG files: those that are still adversarial there."""

import csv

import numpy as np
import tiny
from absl.testing import absltest, parameterized
from PIL import Image

from jaxrkd.errors import InputError
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
    rows = png_files.write(folder, clean, labels, index, found, ['a', 'b', 'c'])
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

  def test_other_channels(self):
    images = np.zeros((1, 4, 4, 2), np.float32)
    with self.assertRaisesRegex(InputError, '2 channels, and a PNG holds 1 or 3'):
      png_files.write(tiny.folder(self), images, np.zeros(1), np.zeros(1), {})


if __name__ == '__main__':
  absltest.main()
