"""Arrays as people bring them, made bytes and class numbers, or refused with a way out."""

from typing import Any

import numpy as np

from jaxrkd.errors import InputError

CLASS_NUMBERS = 'np.unique(labels, return_inverse=True)[1]'

STACK = 'give all of them the same shape and number type, such as with np.stack'


def as_array(values: Any, what: str) -> np.ndarray:
  """Makes an array of anything that is one.

  Raises:
    InputError: `values` are of several shapes, or Python objects.
  """
  try:
    found = np.asarray(values)
  except ValueError as error:
    raise InputError(f'{what} are no array ({error}); {STACK}') from error
  if found.dtype.kind == 'O':
    raise InputError(f'{what} are Python objects, not numbers; {STACK}')
  return found


def check_layout(shape: tuple[int, ...], labels: tuple[int, ...], what: str) -> None:
  """Refuses what is not [N, H, W, C] with [N] labels.

  Args:
    shape: of the images.
    labels: shape of the labels.
    what: name for messages.

  Raises:
    InputError: another order of axes, other numbers of images and labels, or no images.
  """
  if len(shape) != 4 or labels != shape[:1]:
    raise InputError(
      f'{what}: images have shape {shape} and labels {labels}; expected [N, H, W, C] '
      f'(or [N, H, W]) and [N]{_order(shape, labels)}'
    )
  if not all(shape):
    raise InputError(f'{what} has no images (shape {shape}); at least one is needed')
  # Few rows of many columns of more channels than any image has.
  if shape[1] <= 4 < shape[3] and shape[1] < shape[2]:
    raise InputError(
      f'{what}: images of shape {shape} have their channels first, but channels come '
      'last; give images.transpose(0, 2, 3, 1)'
    )


def _order(shape: tuple[int, ...], labels: tuple[int, ...]) -> str:
  """What to do about a wrong shape, if that can be guessed."""
  if len(shape) == 2:
    return (
      '; reshape flat rows, such as images.reshape(-1, 28, 28), or, where each channel is '
      'a row of its own, images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)'
    )
  if len(shape) in (3, 4) and labels == shape[-1:]:
    return '; images come first: give np.moveaxis(images, -1, 0)'
  return ''


def as_images(images: np.ndarray, what: str) -> np.ndarray:
  """Makes bytes of images.

  Args:
    images: [N, H, W, C], uint8 or floats in [0, 1] (rounded to 255ths).
    what: name for messages.

  Raises:
    InputError: another type or range, or values that are no numbers.
  """
  if images.dtype == np.uint8:
    return np.ascontiguousarray(images)
  if images.dtype.kind not in 'biuf':
    raise InputError(
      f'{what}: images are {images.dtype}; give bytes (uint8) or floats in [0, 1]'
    )
  low, high = float(images.min()), float(images.max())
  if images.dtype.kind != 'f':
    raise InputError(
      f'{what}: images are {images.dtype} over [{low:g}, {high:g}]; give bytes (uint8) or '
      f'floats in [0, 1]: {_bytes_of(images.dtype, low, high)}'
    )
  if not np.isfinite([low, high]).all():
    bad = np.flatnonzero(~np.isfinite(images).all((1, 2, 3)))
    raise InputError(
      f'{what}: {len(bad)} of {len(images)} images hold values that are no numbers (NaN '
      f'or infinity), first in image {bad[0]}; repair these images or leave them out'
    )
  if low < 0 or high > 1:
    whole = bool((images == np.round(images)).all())
    raise InputError(
      f'{what}: float images range over [{low:g}, {high:g}]; give floats in [0, 1] or '
      f'bytes in [0, 255]: {_unit_of(low, high, whole)}'
    )
  return np.round(images * 255).astype(np.uint8)


def _bytes_of(dtype: np.dtype, low: float, high: float) -> str:
  if dtype.kind == 'b' or (low >= 0 and high <= 1):
    return 'images.astype(np.uint8) * 255'
  if low >= 0 and high <= 255:
    return 'images.astype(np.uint8)'
  if dtype == np.uint16:
    return '(images // 257).astype(np.uint8) where 65535 is white'
  return 'scale them so that 0 is black and 255 white'


def _unit_of(low: float, high: float, whole: bool) -> str:
  level = 1 / 255
  if low >= -level and high <= 1 + level:
    return 'images.clip(0, 1), if only rounding put values outside'
  if low < 0:
    return (
      'undo their normalisation, such as images * std + mean; normalisation belongs in '
      'the network (student.normalisation)'
    )
  if high <= 255:
    return 'images.astype(np.uint8)' if whole else 'images / 255'
  return 'scale them so that 0 is black and 1 white'


def flat_labels(labels: np.ndarray, count: int, what: str) -> np.ndarray:
  """Labels [N, 1] or [1, N] as [N]; others stay as they are.

  Raises:
    InputError: [N, K], with the way to class numbers.
  """
  if labels.shape in ((count, 1), (1, count)):
    return labels.reshape(-1)
  if labels.ndim == 2 and len(labels) == count and labels.dtype.kind in 'biuf':
    sums = labels.sum(-1, dtype=np.float64)
    if np.isin(labels, (0, 1)).all() and (sums == 1).all():
      way = 'are one-hot; give class numbers: labels.argmax(-1)'
    elif (labels >= 0).all() and np.allclose(sums, 1, atol=1e-3):
      way = 'are probabilities; give the likeliest class of each: labels.argmax(-1)'
    else:
      way = 'have several numbers for each image; give one class of each'
    raise InputError(f'{what}: labels of shape {labels.shape} {way}')
  return labels


def as_labels(labels: np.ndarray, what: str) -> np.ndarray:
  """Makes class numbers of labels [N].

  Args:
    labels: integers from 0, also as floats or booleans.
    what: name for messages.

  Raises:
    InputError: names, fractions, NaN, negative or huge numbers.
  """
  if labels.dtype.kind in 'US':
    raise InputError(
      f'{what}: labels must be integers from 0, got names such as {labels[0]!r}; number '
      f'the classes: {CLASS_NUMBERS}'
    )
  if labels.dtype.kind not in 'biuf':
    raise InputError(f'{what}: labels must be integers from 0, got {labels.dtype}')
  if labels.dtype.kind == 'f':
    # Written so that NaN and infinity fail too.
    with np.errstate(invalid='ignore'):
      whole = labels - np.trunc(labels) == 0
    if not whole.all():
      raise InputError(
        f'{what}: labels must be integers from 0, got {labels[~whole][0]:g} among '
        f'{labels.dtype}, {np.count_nonzero(~whole)} such of {len(labels)}'
      )
  low, high = labels.min(), labels.max()
  if low < 0:
    raise InputError(
      f'{what}: labels must be integers from 0, got {np.count_nonzero(labels < 0)} negative '
      f'ones of {len(labels)}, down to {low:g}; leave images without a class out'
    )
  if high > np.iinfo(np.int32).max:
    raise InputError(
      f'{what}: labels must be class numbers from 0, got {high}; number the classes: '
      f'{CLASS_NUMBERS}'
    )
  return labels.astype(np.int32)
