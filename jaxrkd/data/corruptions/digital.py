"""What programs do to images: levels, compression, shapes."""

import io

import numpy as np

from jaxrkd.data.corruptions.base import Random, finished, from_hsv, to_hsv, unit
from jaxrkd.data.decode import Form, decoded


def brightness(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """A higher value of each colour."""
  del random
  hsv = to_hsv(unit(image))
  more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
  hsv[..., 2] = np.clip(hsv[..., 2] + more, 0, 1)
  return finished(from_hsv(hsv))


def saturate(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Paler or stronger colours."""
  del random
  factor, more = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
  hsv = to_hsv(unit(image))
  hsv[..., 1] = np.clip(hsv[..., 1] * factor + more, 0, 1)
  return finished(from_hsv(hsv))


def contrast(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Closer to the mean of each channel."""
  del random
  x = unit(image)
  mean = x.mean((0, 1), keepdims=True)
  return finished((x - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] + mean)


def jpeg_compression(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Written as JPEG and read again."""
  from PIL import Image

  del random
  stream = io.BytesIO()
  quality = (80, 65, 58, 50, 40)[severity - 1]
  Image.fromarray(image).save(stream, 'JPEG', quality=quality)
  stream.seek(0)
  return decoded(stream, Form(channels=3))


def pixelate(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Of fewer, larger pixels."""
  from PIL import Image

  del random
  side = int(len(image) * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1])
  box = Image.Resampling.BOX
  few = Image.fromarray(image).resize((side, side), box)
  return np.asarray(few.resize(image.shape[1::-1], box), np.uint8)


def elastic_transform(image: np.ndarray, severity: int, random: Random) -> np.ndarray:
  """Three points move, and then every pixel a little."""
  from scipy import ndimage

  side = len(image)
  alpha, sigma, most = (
    side * value
    for value in (
      (0, 0, 0.08),
      (0.05, 0.2, 0.07),
      (0.08, 0.06, 0.06),
      (0.1, 0.04, 0.05),
      (0.1, 0.03, 0.03),
    )[severity - 1]
  )
  middle, far = side // 2, side // 3
  points = np.array(
    [
      (middle + far, middle + far),
      (middle + far, middle - far),
      (middle - far, middle - far),
    ],
    np.float32,
  )
  moved = points + random.uniform(-most, most, size=(3, 2)).astype(np.float32)
  x = _affine(unit(image, np.float32), points, moved)
  shifts = [
    ndimage.gaussian_filter(
      random.uniform(-1, 1, size=(side, side)), sigma, mode='reflect', truncate=3
    )
    * alpha
    for _ in range(2)
  ]
  right, down = (shift.astype(np.float32) for shift in shifts)
  columns, rows = np.meshgrid(np.arange(side), np.arange(side))
  places = [np.reshape(rows + down, -1), np.reshape(columns + right, -1)]
  found = [
    ndimage.map_coordinates(x[..., k], places, order=1, mode='reflect')
    for k in range(x.shape[-1])
  ]
  return finished(np.stack(found, -1).reshape(x.shape))


def _affine(x: np.ndarray, points: np.ndarray, moved: np.ndarray) -> np.ndarray:
  """Moves three points; places are rounded to 32nds of a pixel, as OpenCV 4 does it."""
  side = len(x)
  source = np.concatenate([points.astype(np.float64), np.ones((3, 1))], 1)
  forward = np.linalg.solve(source, moved.astype(np.float64)).T
  inverse = np.linalg.inv(np.concatenate([forward, [[0, 0, 1]]]))[:2]
  place = np.arange(side)
  ends = []
  for row in inverse:
    along = np.rint(row[0] * place * 1024).astype(int)
    across = np.rint((row[1] * place + row[2]) * 1024).astype(int) + 16
    ends.append((across[:, None] + along) >> 5)
  (left, a), (top, b) = ((end >> 5, (end & 31).astype(np.float32) / 32) for end in ends)

  def at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return x[_mirrored(rows, side), _mirrored(columns, side)]

  a, b = a[..., None], b[..., None]
  found = at(top, left) * ((1 - b) * (1 - a))
  found = found + at(top, left + 1) * ((1 - b) * a)
  found = found + at(top + 1, left) * (b * (1 - a))
  return (found + at(top + 1, left + 1) * (b * a)).astype(np.float32)


def _mirrored(place: np.ndarray, side: int) -> np.ndarray:
  """Places beyond an edge, mirrored at the pixel on it."""
  period = 2 * (side - 1)
  place = np.abs(place) % period
  return np.where(place >= side, period - place, place)
