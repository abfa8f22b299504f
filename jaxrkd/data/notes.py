"""What a person should know of a data set before a network learns from it."""

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from jaxrkd.data.lazy import LazyImages
from jaxrkd.data.split import Split

# Images on disk of which some are looked at.
LOOKED_AT = 256
# Images on disk that are compared with the test images, and how many of them at once.
COMPARED, PIECE = 2_000_000, 8192
# Classes named one by one.
NAMED = 5


def scale_notes(split: Split, what: str) -> list[str]:
  """Whether bytes use so little of 0 ... 255 that they were scaled wrong."""
  image = split.image
  if isinstance(image, LazyImages):
    image = image[np.unique(np.linspace(0, len(image) - 1, LOOKED_AT).astype(np.int64))]
  top = int(image.max())
  if top >= 128:
    return []
  # Whatever a radius is, it is in the scale in which 255 is white.
  shown = '0 and 1' if top == 1 else f'0 ... {top}' if top else '0'
  way = '; if 1 is meant as white, multiply them by 255' if top == 1 else ''
  return [
    f'{what} images hold nothing but {shown} where 255 is white{way}: an eps of 8/255 is '
    f'{"all" if top <= 8 else f"{8 / top:.0%}"} of their range'
  ]


def channel_notes(shape: tuple[int, ...], what: str) -> list[str]:
  """Whether images have other than one or three channels."""
  channels = shape[-1]
  if channels in (1, 3):
    return []
  alpha = {2: '[..., :1]', 4: '[..., :3]'}.get(channels, '')
  way = f'; if the last is transparency, leave it out: images{alpha}' if alpha else ''
  return [f'{what} images have {channels} channels, all of which attacks change{way}']


def class_notes(label: np.ndarray, classes: int, what: str, so: str) -> list[str]:
  """Whether a part lacks classes.

  Args:
    label: of the part, [N]; nothing is said of a part without images.
    classes: of the set.
    what: the part.
    so: what follows from a missing class.
  """
  absent = np.flatnonzero(np.bincount(label, minlength=classes) == 0)
  if not len(label) or not len(absent):
    return []
  return [f'{what} has no images of {_listed(absent, classes)}: {so}']


def _listed(absent: Sequence[int] | np.ndarray, classes: int) -> str:
  named = ', '.join(str(k) for k in absent[:NAMED])
  if len(absent) == 1:
    return f'class {named}'
  dots = ', ...' if len(absent) > NAMED else ''
  return f'{len(absent)} of {classes} classes ({named}{dots})'


def _suspects(learned: Split, test: Split, count: int) -> Iterator[np.ndarray]:
  """Of the first `count` images those that may be test images."""
  if not isinstance(learned.image, LazyImages):
    yield from learned.image
    return
  if not len(test):
    return
  marks = np.sort(_marks(test.image))
  for begin in range(0, count, PIECE):
    piece = learned.image[begin : min(begin + PIECE, count)]
    own = _marks(piece)
    place = np.minimum(np.searchsorted(marks, own), len(marks) - 1)
    yield from piece[marks[place] == own]


def _marks(images: np.ndarray) -> np.ndarray:
  """[N] numbers that are equal where images are."""
  flat = images.reshape(len(images), -1)
  # A few pixels spread over the image tell most apart, and reading them is what takes time.
  columns = np.linspace(0, flat.shape[1] - 1, min(64, flat.shape[1])).astype(np.int64)
  weights = np.random.default_rng(0).integers(1, 2**40, len(columns))
  return flat[:, columns].astype(np.int64) @ weights


def common_notes(learned: Split, test: Split, what: str) -> list[str]:
  """Whether test images are learned from, bit for bit."""
  places = collections.Counter(image.tobytes() for image in test.image)
  lazy = isinstance(learned.image, LazyImages)
  looked_at = min(len(learned), COMPARED) if lazy else len(learned)
  both = {
    data
    for image in _suspects(learned, test, looked_at)
    if (data := image.tobytes()) in places
  }
  if looked_at < len(learned):
    notes = [
      f'only the first {looked_at} of {len(learned)} {what} images were compared with the '
      'test images, because they stay on disk'
    ]
  else:
    notes = []
  count = sum(places[data] for data in both)
  if not count:
    return notes
  return [
    *notes,
    f'{count} of {len(test)} test images are {what} images too, pixel by pixel: '
    'accuracies on them say nothing about new images',
  ]
