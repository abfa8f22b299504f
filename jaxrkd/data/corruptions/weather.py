"""Weather: fog and snow. Frost needs photographs, which only the published arrays have."""

import numpy as np

from jaxrkd.data.corruptions.base import Random, clipped_zoom, finished, motion, unit


def _plasma(side: int, decay: float, random: Random) -> np.ndarray:
  """A fractal landscape in [0, 1] by midpoints, that repeats at its edges."""
  field = np.empty((side, side))
  field[0, 0] = 0
  step, wild = side, 100.0

  def filled(total: np.ndarray) -> np.ndarray:
    return total / 4 + wild * random.uniform(-wild, wild, total.shape)

  while step >= 2:
    half = step // 2
    corners = field[0:side:step, 0:side:step]
    total = corners + np.roll(corners, -1, 0)
    total = total + np.roll(total, -1, 1)
    field[half:side:step, half:side:step] = filled(total)
    middle = field[half:side:step, half:side:step]
    corners = field[0:side:step, 0:side:step]
    across = (middle + np.roll(middle, 1, 0)) + (corners + np.roll(corners, -1, 1))
    field[0:side:step, half:side:step] = filled(across)
    down = (middle + np.roll(middle, 1, 1)) + (corners + np.roll(corners, -1, 0))
    field[half:side:step, 0:side:step] = filled(down)
    step, wild = half, wild / decay
  field -= field.min()
  return field / field.max()


def fog(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """A bright fractal over the image."""
  strength, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
  x = unit(image)
  most = x.max()
  x = x + strength * _plasma(len(image), decay, random)[..., None]
  return finished(x * most / (most + strength))


def snow(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Flakes that fall, over an image that is whitened."""
  mean, sd, zoom, least, radius, sigma, kept = (
    (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
  )[severity - 1]
  x = unit(image, np.float32)
  layer = random.normal(loc=mean, scale=sd, size=image.shape[:2])
  layer = clipped_zoom(layer[..., None], zoom)
  layer[layer < least] = 0
  grains = (np.clip(layer[..., 0], 0, 1) * 255).astype(np.uint8)
  flakes = motion(grains, radius, sigma, random.uniform(-135, -45)) / 255.0
  red, green, blue = np.moveaxis(x, -1, 0)
  grey = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
  white = np.maximum(x, (grey * np.float32(1.5) + np.float32(0.5))[..., None])
  x = np.float32(kept) * x + np.float32(1 - kept) * white
  both = flakes + np.rot90(flakes, 2)
  return finished(x + both[..., None])
