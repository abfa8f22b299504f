"""A data set in memory: images as bytes, and the split into train, held-out and test."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.data.lazy import LazyImages
from jaxrkd.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """Part of a data set.

  Attributes:
    image: uint8 [N, H, W, C], or `LazyImages` of these for training images on disk.
    label: int32 [N].
    index: int32 [N], each image's place in its source; random numbers and results are
      tied to it.
  """

  image: Any
  label: np.ndarray
  index: np.ndarray

  def __len__(self) -> int:
    return len(self.label)

  def arrays(self) -> dict[str, np.ndarray]:
    """The three arrays by name, in memory."""
    return {'image': np.asarray(self.image), 'label': self.label, 'index': self.index}

  def take(self, rows: np.ndarray) -> 'Split':
    lazy = isinstance(self.image, LazyImages)
    image = self.image.take(rows) if lazy else self.image[rows]
    return Split(image, self.label[rows], self.index[rows])

  def loaded(self) -> 'Split':
    """The same with its images in memory."""
    return Split(np.asarray(self.image), self.label, self.index)


# Indices of extra images start here, so that they share no random numbers with real ones.
EXTRA_INDEX = 2**30


class Dataset(NamedTuple):
  """Three disjoint splits, the number of classes, and extra images to train on."""

  name: str
  train: Split
  heldout: Split
  test: Split
  classes: int
  extra: Split | None = None

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self.train.image.shape[1:]


def make_split(images: np.ndarray, labels: np.ndarray, what: str) -> Split:
  """Checks arrays and numbers them.

  Args:
    images: uint8 [N, H, W, C] or [N, H, W], or floats in [0, 1] (rounded to 255ths).
    labels: integers [N].
    what: name for messages.

  Raises:
    InputError: wrong shape, type or range.
  """
  images, labels = np.asarray(images), np.asarray(labels)
  if images.ndim == 3:
    images = images[..., None]
  if images.ndim != 4 or labels.shape != images.shape[:1]:
    raise InputError(
      f'{what}: images have shape {images.shape} and labels {labels.shape}; '
      'expected [N, H, W, C] (or [N, H, W]) and [N]'
    )
  if not len(labels):
    raise InputError(f'{what} has no images; at least one is needed')
  if images.dtype.kind == 'f':
    if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
      raise InputError(
        f'{what}: float images range over [{images.min():g}, {images.max():g}]; '
        'give floats in [0, 1] or bytes in [0, 255]'
      )
    images = np.round(images * 255).astype(np.uint8)
  if images.dtype != np.uint8:
    raise InputError(
      f'{what}: images are {images.dtype}; give bytes (uint8) or floats in [0, 1]'
    )
  if labels.dtype.kind not in 'iu' or labels.min() < 0:
    raise InputError(f'{what}: labels must be integers from 0, got {labels.dtype}')
  index = np.arange(len(labels), dtype=np.int32)
  return Split(np.ascontiguousarray(images), labels.astype(np.int32), index)


def split_off(split: Split, count: int) -> tuple[Split, Split]:
  """Takes `count` images out by a fixed rule; returns (the rest, those taken).

  Taken are the images whose bytes have the smallest SHA-256: the same images on every
  machine, whatever the order in which the source stores them.
  """
  if not count:
    return split, split.take(np.arange(0))
  digests = [hashlib.sha256(image.tobytes()).digest() for image in split.image]
  order = np.array(sorted(range(len(split)), key=digests.__getitem__), dtype=np.int64)
  return split.take(np.sort(order[count:])), split.take(np.sort(order[:count]))


def assemble(
  name: str,
  train: Split,
  test: Split,
  heldout: int = 0,
  train_limit: int = 0,
  test_limit: int = 0,
) -> Dataset:
  """Joins the splits of a source, taking `heldout` images out of train.

  Args:
    name: of the data set.
    train: all training images.
    test: all test images.
    heldout: how many training images to set aside.
    train_limit: keep only so many training images, held-out ones included; 0 keeps all.
    test_limit: keep only so many test images; 0 keeps all.

  Raises:
    InputError: nothing would be left to train on, or shapes differ.
  """
  # Counted before any are left out, so that a small part of a set keeps its classes.
  classes = max(int(max(train.label.max(), test.label.max())) + 1, 2)
  train, test = _limited(train, train_limit), _limited(test, test_limit)
  if not 0 <= heldout < len(train):
    raise InputError(
      f'data.heldout is {heldout}, but {name} has {len(train)} training images; '
      f'give a number from 0 to {len(train) - 1}'
    )
  if train.image.shape[1:] != test.image.shape[1:]:
    raise InputError(
      f'{name}: training images are {train.image.shape[1:]}, test images '
      f'{test.image.shape[1:]}; they must have one shape'
    )
  rest, held = split_off(train, heldout)
  return Dataset(name, rest, held.loaded(), test, classes)


def with_extra(data: Dataset, extra: Split, path: str) -> Dataset:
  """Adds images that only training sees.

  Raises:
    InputError: their shape or labels do not fit the data set.
  """
  shape, most = extra.image.shape[1:], int(extra.label.max())
  if shape != data.image_shape or most >= data.classes:
    raise InputError(
      f'extra.path {path!r} has images {list(shape)} and labels up to {most}, but '
      f'{data.name} has images {list(data.image_shape)} of {data.classes} classes; give '
      'a file made for this data set'
    )
  extra = dataclasses.replace(extra, index=extra.index + EXTRA_INDEX)
  return data._replace(extra=extra)


def _limited(split: Split, limit: int) -> Split:
  if limit < 0:
    raise InputError(f'a limit of {limit} images makes no sense; give 0 for all')
  return split_off(split, limit)[1] if 0 < limit < len(split) else split
