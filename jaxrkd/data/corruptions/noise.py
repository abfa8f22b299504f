"""Noise: what sensors add."""

import numpy as np

from jaxrkd.data.corruptions.base import Random, finished, unit


def gaussian_noise(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Normal noise of one scale."""
  scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
  return finished(unit(image) + random.normal(scale=scale, size=image.shape))


def shot_noise(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """As few photons would make it."""
  photons = (500, 250, 100, 75, 50)[severity - 1]
  return finished(random.poisson(photons * unit(image)) / photons)


def impulse_noise(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Values that are 0 or 1 instead."""
  amount = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
  flipped = random.random_sample(image.shape) < amount
  salted = random.random_sample(image.shape) < 0.5
  return finished(np.where(flipped, salted.astype(np.float64), unit(image)))


def speckle_noise(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Normal noise in proportion to the value."""
  scale = (0.06, 0.1, 0.12, 0.16, 0.2)[severity - 1]
  x = unit(image)
  return finished(x + x * random.normal(scale=scale, size=image.shape))
