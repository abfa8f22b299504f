"""What corruptions share."""

import numpy as np

# The generator of the published program: its streams are frozen by numpy.
Random = np.random.RandomState


def unit(image: np.ndarray, dtype: type = np.float64) -> np.ndarray:
  """Bytes as numbers in [0, 1]."""
  return (image / 255.0).astype(dtype)


def finished(values: np.ndarray) -> np.ndarray:
  """Numbers in [0, 1] as bytes: what is beyond is cut off, and fractions too, as published."""
  return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def clipped_zoom(image: np.ndarray, factor: float) -> np.ndarray:
  """The middle of an image [H, H, C], larger by a factor, of the size that it was."""
  from scipy import ndimage

  side = len(image)
  crop = int(np.ceil(side / factor))
  top = (side - crop) // 2
  inner = image[top : top + crop, top : top + crop]
  zoomed = ndimage.zoom(inner, (factor, factor, 1), order=1)
  cut = (len(zoomed) - side) // 2
  return zoomed[cut : cut + side, cut : cut + side]


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
  """A normal blur of rows and columns, edges repeated."""
  from scipy import ndimage

  sigmas = (sigma, sigma, 0)[: image.ndim]
  return ndimage.gaussian_filter(image, sigmas, mode='nearest', truncate=4.0)


def motion(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
  """A one-sided blur along a direction, as ImageMagick's, of bytes [H, W, ...] to bytes.

  Args:
    image: bytes.
    radius: half the number of taps.
    sigma: of their weights, in pixels.
    angle: in degrees.
  """
  count = 2 * radius + 1
  taps = np.arange(count)
  weights = np.exp(-(taps**2) / (2 * sigma**2))
  weights /= weights.sum()
  theta = angle * np.pi / 180
  right, down = count * np.cos(theta), count * np.sin(theta)
  length = np.hypot(right, down)
  # Its offsets lie across: the first goes with the cosine, along the columns.
  columns = np.ceil(taps * right / length - 0.5).astype(int)
  rows = np.ceil(taps * down / length - 0.5).astype(int)
  height, width = image.shape[:2]
  total = np.zeros(image.shape)
  for weight, row, column in zip(weights, rows, columns):
    r = np.clip(np.arange(height) + row, 0, height - 1)
    c = np.clip(np.arange(width) + column, 0, width - 1)
    total += weight * (257.0 * image[r][:, c])
  deep = np.clip(np.floor(total + 0.5), 0, 65535)
  # Rounded, as the version of 2018 does it.
  return np.floor(deep / 257 + 0.5).astype(np.uint8)


def to_hsv(x: np.ndarray) -> np.ndarray:
  """Red, green, blue in [0, 1] as hue, saturation and value."""
  value = x.max(-1)
  spread = value - x.min(-1)
  flat = spread == 0
  some = np.where(flat, 1, spread)
  red, green, blue = np.moveaxis(x, -1, 0)
  hue = np.zeros_like(value)
  hue = np.where(red == value, (green - blue) / some, hue)
  hue = np.where(green == value, 2 + (blue - red) / some, hue)
  hue = np.where(blue == value, 4 + (red - green) / some, hue)
  hue = np.where(flat, 0, (hue / 6) % 1)
  saturation = np.where(flat, 0, spread / np.where(value == 0, 1, value))
  return np.stack([hue, saturation, value], -1)


def from_hsv(x: np.ndarray) -> np.ndarray:
  """Hue, saturation and value as red, green and blue."""
  hue, saturation, value = np.moveaxis(x, -1, 0)
  sixth = np.floor(hue * 6)
  rest = hue * 6 - sixth
  p = value * (1 - saturation)
  q = value * (1 - rest * saturation)
  t = value * (1 - (1 - rest) * saturation)
  parts = [(value, t, p), (q, value, p), (p, value, t), (p, q, value), (t, p, value)]
  parts.append((value, p, q))
  number = sixth.astype(int) % 6
  choices = [np.stack(part, -1) for part in parts]
  return np.choose(number[..., None], choices)
