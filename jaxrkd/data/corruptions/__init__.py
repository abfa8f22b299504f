"""The corruptions of CIFAR-10-C: Hendrycks and Dietterich, 1903.12261, for images 32x32x3.

Each is (bytes [32, 32, 3], severity 1 to 5, random numbers) -> bytes, as the authors' program
for CIFAR makes it, with the same draws in the same order. That program sets no seed, so the
published arrays are other draws of the same corruptions. Frost is missing: it needs the
authors' photographs. So is spatter, one of four that mCE does not count.
"""

from collections.abc import Callable

import numpy as np

from jaxrkd.data.cifar10_corrupted import SEVERITIES
from jaxrkd.data.corruptions.base import Random
from jaxrkd.data.corruptions.blur import (
  defocus_blur,
  gaussian_blur,
  glass_blur,
  motion_blur,
  zoom_blur,
)
from jaxrkd.data.corruptions.digital import (
  brightness,
  contrast,
  elastic_transform,
  jpeg_compression,
  pixelate,
  saturate,
)
from jaxrkd.data.corruptions.noise import (
  gaussian_noise,
  impulse_noise,
  shot_noise,
  speckle_noise,
)
from jaxrkd.data.corruptions.weather import fog, snow
from jaxrkd.errors import InputError, choose, one_of

SHAPE = (32, 32, 3)
Corruption = Callable[[np.ndarray, int, Random], np.ndarray]
# In the order of the published files.
CORRUPTIONS: dict[str, Corruption] = {
  'gaussian_noise': gaussian_noise,
  'shot_noise': shot_noise,
  'impulse_noise': impulse_noise,
  'defocus_blur': defocus_blur,
  'glass_blur': glass_blur,
  'motion_blur': motion_blur,
  'zoom_blur': zoom_blur,
  'snow': snow,
  'fog': fog,
  'brightness': brightness,
  'contrast': contrast,
  'elastic_transform': elastic_transform,
  'pixelate': pixelate,
  'jpeg_compression': jpeg_compression,
  'speckle_noise': speckle_noise,
  'gaussian_blur': gaussian_blur,
  'saturate': saturate,
}


def corrupted(
  images: np.ndarray, name: str, severity: int, index: np.ndarray, seed: int = 0
) -> np.ndarray:
  """Corrupts images; what happens to one depends on its index, not on its place.

  Args:
    images: uint8 [N, 32, 32, 3].
    name: a row of `CORRUPTIONS`.
    severity: 1 to 5.
    index: [N], numbers of the images.
    seed: of the random numbers.

  Raises:
    InputError: no such corruption or severity, or images of another form.
  """
  corruption = choose(CORRUPTIONS, name, 'corruption')
  severity = int(one_of(severity, SEVERITIES, 'severity'))
  if images.shape[1:] != SHAPE or images.dtype != np.uint8:
    raise InputError(
      f'images are {images.dtype} {list(images.shape)}; these corruptions are published for '
      'uint8 [N, 32, 32, 3], and others have no constants: bring corrupted images of your own'
    )
  which = list(CORRUPTIONS).index(name)
  index = np.asarray(index)
  if index.shape != (len(images),) or (len(index) and index.min() < 0) or seed < 0:
    raise InputError(
      f'index is {list(index.shape)} for {len(images)} images, and the seed is {seed}; give a '
      'number from 0 for each image, and a seed from 0'
    )
  found = np.empty_like(images)
  for row, number in enumerate(index):
    random = Random(
      np.random.MT19937(np.random.SeedSequence((seed, which, severity, int(number))))
    )
    found[row] = corruption(images[row], severity, random)
  return found


__all__ = ['CORRUPTIONS', 'SEVERITIES', 'SHAPE', 'Corruption', 'corrupted']
