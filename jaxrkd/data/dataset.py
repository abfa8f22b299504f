"""A data set in memory: images as bytes, and the split into train, held-out and test."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.data.arrays import (
  CLASS_NUMBERS,
  as_array,
  as_images,
  as_labels,
  check_layout,
  flat_labels,
)
from jaxrkd.data.chosen_classes import class_numbers, only_classes
from jaxrkd.data.lazy import LazyImages
from jaxrkd.data.notes import channel_notes, class_notes, common_notes, scale_notes
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError

# Indices of extra images start here, so that they share no random numbers with real ones.
EXTRA_INDEX = 2**30


class Dataset(NamedTuple):
  """Three disjoint splits, the number of classes, and extra images to train on.

  `notes` are sentences about the data that a person should read before training.
  """

  name: str
  train: Split
  heldout: Split
  test: Split
  classes: int
  extra: Split | None = None
  notes: tuple[str, ...] = ()

  @property
  def image_shape(self) -> tuple[int, int, int]:
    return self.train.image.shape[1:]


def make_split(images: Any, labels: Any, what: str) -> Split:
  """Checks arrays and numbers them.

  Args:
    images: uint8 [N, H, W, C] or [N, H, W], or floats in [0, 1] (rounded to 255ths).
    labels: integers [N], also [N, 1], floats without fractions, or booleans.
    what: name for messages.

  Raises:
    InputError: wrong shape, type or range.
  """
  images = as_array(images, f'{what}: images')
  labels = as_array(labels, f'{what}: labels')
  grey = images.ndim == 3
  labels = flat_labels(labels, len(images) if images.ndim else 0, what)
  notes: tuple[str, ...] = ()
  if grey and labels.shape == images.shape[:1]:
    notes = (f'{what} images {list(images.shape)} are taken as grey, of one channel',)
    images = images[..., None]
  check_layout(images.shape, labels.shape, what)
  index = np.arange(len(labels), dtype=np.int32)
  return Split(as_images(images, what), as_labels(labels, what), index, notes)


def checked(split: Split, what: str) -> Split:
  """The same, of a split that anybody made.

  Args:
    split: with the attributes that `Split` asks for, or what `make_split` makes them of.
    what: name for messages.

  Raises:
    InputError: it is no `Split`, or does not hold what one holds.
  """
  if not isinstance(split, Split):
    raise InputError(
      f'{what} is a {type(split).__name__}; a source returns two splits, (train, test), as '
      'jaxrkd.data.make_split(images, labels, name) makes them'
    )
  index = np.asarray(split.index)
  if not isinstance(split.image, LazyImages):
    made = make_split(split.image, split.label, what)
    image, label, notes = made.image, made.label, made.notes
  else:
    image, notes = split.image, ()
    label = flat_labels(as_array(split.label, f'{what}: labels'), len(image), what)
    check_layout(image.shape, label.shape, what)
    label = as_labels(label, what)
    if image.dtype != np.uint8:
      raise InputError(f'{what}: images on disk are {image.dtype}; they must be uint8')
  if (
    index.shape != label.shape
    or index.dtype.kind not in 'iu'
    or len(np.unique(index)) < len(index)
    or not 0 <= index.min() <= index.max() < EXTRA_INDEX
  ):
    raise InputError(
      f'{what}: index is {index.dtype} {list(index.shape)}; it must hold a number of its '
      f'own for each of the {len(label)} images, from 0 to {EXTRA_INDEX - 1}'
    )
  whole = (*split.notes, *notes)
  return Split(image, label, index.astype(np.int32), whole, split.names)


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
  classes: Sequence[int | str] = (),
) -> Dataset:
  """Joins the splits of a source, taking `heldout` images out of train.

  Args:
    name: of the data set.
    train: all training images.
    test: all test images.
    heldout: how many training images to set aside.
    train_limit: keep only so many training images, held-out ones included; 0 keeps all.
    test_limit: keep only so many test images; 0 keeps all.
    classes: keep only these, by name or number, numbered anew in this order; empty keeps
      all.

  Raises:
    InputError: a split is none, classes are not numbered from 0 without gaps, shapes
      differ, or nothing would be left to train on.
  """
  train, test = checked(train, f'{name} train'), checked(test, f'{name} test')
  # Counted before any are left out, so that a small part of a set keeps its classes.
  count = _count_classes(name, train.label, test.label)
  if classes:
    numbers = class_numbers(name, classes, count, train.names)
    train, test = only_classes(train, numbers), only_classes(test, numbers)
    count = len(numbers)
  if train.image.shape[1:] != test.image.shape[1:]:
    raise InputError(
      f'{name}: training images are {train.image.shape[1:]}, test images '
      f'{test.image.shape[1:]}; they must have one shape'
    )
  notes = [*train.notes, *test.notes]
  if not classes and len(train.names) > count:
    absent = ', '.join(train.names[count:][:5])
    notes.append(
      f'{name} has names of {len(train.names)} classes and images of {count}, none of {absent}'
    )
  notes += channel_notes(train.image.shape, name)
  notes += scale_notes(train, f'{name} training') + scale_notes(test, f'{name} test')
  train, test = _limited(train, train_limit), _limited(test, test_limit)
  if not 0 <= heldout < len(train):
    raise InputError(
      f'data.heldout is {heldout}, but {name} has {len(train)} training images; '
      f'give a number from 0 to {len(train) - 1}'
    )
  rest, held = split_off(train, heldout)
  if len(held) > len(rest):
    notes.append(
      f'{len(held)} images of {name} are held out and {len(rest)} are trained on; give a '
      'smaller data.heldout'
    )
  for part, what, so in (
    (rest, 'the training part', 'the network cannot learn these'),
    (held, 'the held-out part', 'the choice of a checkpoint ignores these'),
    (test, 'the test part', 'accuracies say nothing about these'),
  ):
    told = f'{what} of {name} ({len(part)} images)'
    notes += class_notes(part.label, count, told, so)
  notes += common_notes(rest, test, 'training')
  said = tuple(dict.fromkeys(notes))
  return Dataset(name, rest, held.loaded(), test, count, notes=said)


def _count_classes(name: str, train: np.ndarray, test: np.ndarray) -> int:
  """How many classes there are: from 0, each with training images."""
  present = np.unique(train)
  alien = np.setdiff1d(test, present)
  if len(alien):
    raise InputError(
      f'{name}: class {alien[0]} has no training images, but '
      f'{np.count_nonzero(test == alien[0])} test images; number the classes of train '
      'and test in the same way, and leave out test images of other classes'
    )
  low, high = int(present[0]), int(present[-1])
  if len(present) == high + 1 and high:
    return high + 1
  if not high:
    raise InputError(
      f'{name}: class 1 has no images, all labels are 0; at least two classes are needed'
    )
  # The first number that is not where it would be without gaps.
  gap = int(np.flatnonzero(present != np.arange(len(present)))[0])
  if low == 1 and len(present) == high:
    way = 'labels - 1'
  else:
    way = f'{CLASS_NUMBERS}, of train and test together'
  raise InputError(
    f'{name}: class {gap} has no images, because the labels of its {len(present)} classes '
    f'run from {low} to {high}; number them from 0 without gaps: give {way}'
  )


def with_extra(data: Dataset, extra: Split, path: str) -> Dataset:
  """Adds images that only training sees.

  Raises:
    InputError: their shape or labels do not fit the data set.
  """
  extra = checked(extra, path)
  shape, most = extra.image.shape[1:], int(extra.label.max())
  if shape != data.image_shape or most >= data.classes:
    raise InputError(
      f'extra.path {path!r} has images {list(shape)} and labels up to {most}, but '
      f'{data.name} has images {list(data.image_shape)} of {data.classes} classes; give '
      'a file made for this data set'
    )
  so = 'if the file numbers the classes in another order, its labels are wrong here'
  notes = (
    *extra.notes,
    *scale_notes(extra, f'extra.path {path!r}:'),
    *class_notes(extra.label, data.classes, f'extra.path {path!r}', so),
    *common_notes(extra, data.test, 'extra'),
  )
  extra = dataclasses.replace(extra, index=extra.index + EXTRA_INDEX)
  return data._replace(extra=extra, notes=(*data.notes, *notes))


def _limited(split: Split, limit: int) -> Split:
  if limit < 0:
    raise InputError(f'the limit is {limit} images; give a number above 0, or 0 for all')
  return split_off(split, limit)[1] if 0 < limit < len(split) else split
