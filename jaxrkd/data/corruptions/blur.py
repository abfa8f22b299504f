"""Blur: lenses, motion, glass."""

import numpy as np

from jaxrkd.data.corruptions.base import (
  Random,
  clipped_zoom,
  finished,
  gaussian,
  motion,
  unit,
)


def gaussian_blur(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """A normal blur."""
  del random
  return finished(gaussian(unit(image), (0.4, 0.6, 0.7, 0.8, 1)[severity - 1]))


def _disk(radius: float, sigma: float) -> np.ndarray:
  """A disk, and its edge smoothed over three pixels."""
  from scipy import ndimage

  # Published in 17 x 17; beyond two pixels of the middle all of it is 0.
  place = np.arange(-3, 4)
  disk = (place[:, None] ** 2 + place**2 <= radius**2).astype(np.float32)
  disk /= disk.sum()
  side = np.exp(-1 / (2 * sigma**2))
  taps = (np.array([side, 1, side]) / (1 + 2 * side)).astype(np.float32)
  for axis in (0, 1):
    disk = ndimage.correlate1d(disk, taps, axis, mode='mirror')
  return disk.astype(np.float64)


def defocus_blur(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Out of focus: each point is a disk."""
  from scipy import ndimage

  del random
  sizes = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
  kernel = _disk(*sizes[severity - 1])
  x = unit(image)
  return finished(ndimage.correlate(x, kernel[..., None], mode='mirror'))


def glass_blur(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Behind frosted glass: pixels take the colour of neighbours."""
  settings = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))
  sigma, most, times = settings[severity - 1]
  x = (gaussian(unit(image), sigma) * 255).astype(np.uint8)
  height, width = x.shape[:2]
  for _ in range(times):
    # Above the range is excluded, and what is meant as a swap copies: as published.
    moves = random.randint(-most, most, size=(height - 1 - most, width - 1 - most, 2))
    for h in range(height - most, most, -1):
      for w in range(width - most, most, -1):
        right, down = moves[height - most - h, width - most - w]
        x[h, w] = x[h + down, w + right]
  return finished(gaussian(x / 255.0, sigma))


def motion_blur(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """A camera that moves."""
  radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
  return motion(image, radius, sigma, random.uniform(-45, 45))


def zoom_blur(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """A camera that moves towards its subject."""
  del random
  end = (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1]
  factors = np.arange(1, end, 0.01)
  x = unit(image, np.float32)
  total = np.zeros_like(x)
  for factor in factors:
    total += clipped_zoom(x, factor)
  return finished((x + total) / (len(factors) + 1))
