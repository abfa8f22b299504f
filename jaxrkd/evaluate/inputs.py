"""Refuses images and classifiers whose verdicts would mean nothing, in one sentence."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import LogitsFn, Randomised
from jaxrkd.errors import InputError
from jaxrkd.runtime.precision import float32_products

# Relative to the largest logit: float32 rounding in another batch stays well below.
TOLERANCE = 1e-3
LOOKED_AT = 8


def check_images(images: np.ndarray, labels: np.ndarray) -> None:
  """Checks shapes, types and ranges.

  Args:
    images: [N, H, W, C], floats in [0, 1], or uint8.
    labels: [N] integers.

  Raises:
    InputError: anything else.
  """
  if images.ndim != 4 or not len(images):
    raise InputError(
      f'images have shape {images.shape}; give at least one, as [N, height, width, channels]'
    )
  if images.dtype != np.uint8 and not jnp.issubdtype(images.dtype, np.floating):
    raise InputError(
      f'images are {images.dtype}; give floats in [0, 1], or uint8 in 0 to 255'
    )
  if images.dtype != np.uint8:
    low, high = float(np.min(images)), float(np.max(images))
    # Written so that NaN fails too.
    if not (low >= 0 and high <= 1):
      raise InputError(
        f'images reach from {low:.4g} to {high:.4g}, but attacks need [0, 1]: put '
        'normalisation into logits_fn, and divide 8-bit images by 255'
      )
  if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
    raise InputError(
      f'labels have shape {labels.shape} and type {labels.dtype}; give one integer for '
      f'each of the {len(images)} images'
    )


def check_classifier(logits_fn: LogitsFn, images: np.ndarray, labels: np.ndarray) -> int:
  """Asks a classifier about a few images; returns the number of its classes.

  Args:
    logits_fn: images -> logits, or `Randomised`.
    images: [N, H, W, C] in [0, 1].
    labels: [N] integers.

  Raises:
    InputError: no logits for each image, fewer than 2 classes, labels beyond them, logits
      that are not numbers, probabilities, or answers that change.
  """
  few = jnp.asarray(images[:LOOKED_AT])
  try:
    with float32_products():
      logits = np.asarray(logits_fn(few))
  except Exception as error:
    raise InputError(
      f'logits_fn fails on images of shape {few.shape} and type {few.dtype}: '
      f'{_first_line(error)}; it must map [N, height, width, channels] to [N, classes]'
    ) from error
  if logits.ndim != 2 or len(logits) != len(few) or logits.shape[1] < 2:
    raise InputError(
      f'logits_fn maps images of shape {few.shape} to {logits.shape}; it must give '
      f'[{len(few)}, classes], with 2 classes or more'
    )
  classes = logits.shape[1]
  check_labels(labels, classes)
  check_finite(np.all(np.isfinite(logits), axis=-1))
  if np.all(logits >= 0) and np.allclose(logits.sum(-1), 1, atol=1e-3):
    raise InputError(
      'logits_fn gives probabilities (no value is negative, and each row adds up to 1); '
      'attacks need logits, so leave the softmax out, or return log-probabilities'
    )
  if not isinstance(logits_fn, Randomised):
    _check_steady(logits_fn, images)
  return classes


def check_labels(labels: np.ndarray, classes: int) -> None:
  """Raises `InputError` for labels beyond the classes."""
  if labels.min() < 0 or labels.max() >= classes:
    raise InputError(
      f'labels reach from {labels.min()} to {labels.max()}, but logits_fn has {classes} '
      f'classes; labels count from 0 to {classes - 1}'
    )


def check_finite(finite: np.ndarray) -> None:
  """Raises `InputError` if logits of clean images are not numbers; `finite` is [N]."""
  if not np.all(finite):
    raise InputError(
      f'logits_fn gives values that are not finite numbers on {np.sum(~finite)} of '
      f'{len(finite)} images, first on number {int(np.argmin(finite))}; mend the network '
      'or its weights'
    )


def unsteadiness(logits_fn: LogitsFn, images: np.ndarray) -> tuple[float, float]:
  """How far logits of a few images move: when asked again, and beside a black image.

  Relative to the largest logit.
  """
  few = jnp.asarray(images[:LOOKED_AT])
  with float32_products():
    logits = np.asarray(logits_fn(few))
    again = np.asarray(logits_fn(few))
    beside = [
      np.asarray(logits_fn(jnp.stack([image, jnp.zeros_like(image)])))[0] for image in few
    ]
  size = max(float(np.abs(logits).max()), 1e-12)
  moved = lambda other: float(np.abs(other - logits).max()) / size
  return moved(again), moved(np.stack(beside))


def _check_steady(logits_fn: LogitsFn, images: np.ndarray) -> None:
  moved, beside = unsteadiness(logits_fn, images)
  if moved > TOLERANCE:
    raise InputError(
      f'logits_fn answers differently when asked again (by {moved:.2g} of the largest '
      'logit): put dropout into evaluation mode, or pass its random keys with '
      "attacks.Randomised and use AutoAttack's version rand"
    )
  if beside > TOLERANCE:
    raise InputError(
      f'logits_fn answers differently for an image in another batch (by {beside:.2g} of '
      'the largest logit): put BatchNorm into evaluation mode, so that no image depends on '
      'others'
    )


def _first_line(error: Any) -> str:
  text = str(error).strip().split('\n')[0]
  return f'{type(error).__name__}: {text}'
