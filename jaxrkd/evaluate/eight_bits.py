"""Adversarial images as a file of 8 bits keeps them."""

import numpy as np

# Of a level: what float32 adds to pixels that are whole levels.
SLACK = 1e-3


def eight_bits(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
  """Images in [0, 1], each pixel rounded towards that of the clean image; uint8.

  So no pixel moves farther than before, and the images stay in a ball of any norm. (Where
  the clean image itself has pixels between two levels, by less than one level.)

  Args:
    images: [N, H, W, C].
    clean: [N, H, W, C].
  """
  levels, own = 255.0 * np.clip(images, 0, 1), 255.0 * np.asarray(clean)
  nearer = np.where(levels > own, np.floor(levels + SLACK), np.ceil(levels - SLACK))
  return nearer.astype(np.uint8)
