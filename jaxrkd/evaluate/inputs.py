"""Refuses images and classifiers whose verdicts would mean nothing, in one sentence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import LogitsFn, Randomised, doors
from jaxrkd.attacks.code import low_precision
from jaxrkd.errors import InputError
from jaxrkd.runtime.precision import float32_products

# Relative to the largest logit: float32 rounding in another batch stays well below.
TOLERANCE = 1e-3
# Of networks that compute in bfloat16 or float16: some last digits of these.
COARSE = 16
LOOKED_AT = 8


def checked_images(images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
  """Images and labels to work with.

  Args:
    images: [N, H, W, C], floats in [0, 1], or uint8.
    labels: [N] integers.

  Returns:
    Images, which rounding does not put outside of [0, 1], and int32 labels.

  Raises:
    InputError: other shapes, types or ranges, or what is no number.
  """
  if callable(images):
    raise InputError(
      'images are a function; the order of arguments is attack_images(logits_fn, images, '
      'labels, attack)'
    )
  images, labels = np.asarray(images), np.asarray(labels)
  doors.check_image_type(images)
  doors.check_labels(labels, len(images))
  if images.dtype not in (np.uint8, np.float64):
    images = images.astype(np.float32)
  if images.dtype != np.uint8 and doors.check_range(images):
    images = np.clip(images, 0, 1)
  return images, labels.astype(np.int32)


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
  if not callable(logits_fn):
    raise InputError(
      f'logits_fn is {doors.told(logits_fn)}; give a pure function from images to logits, '
      'such as lambda x: module.apply(variables, x, train=False)'
    )
  few = jnp.asarray(images[:LOOKED_AT])
  try:
    with float32_products():
      given = logits_fn(few)
  except Exception as error:
    raise doors.fails(error, few.shape, few.dtype) from error
  classes = doors.check_logits(jax.eval_shape(lambda: given), few.shape)
  logits = np.asarray(given).astype(np.float64)
  doors.check_label_values(labels, classes)
  check_finite(answers(logits))
  if np.all(logits >= 0) and np.allclose(logits.sum(-1), 1, atol=1e-3):
    raise InputError(
      'logits_fn gives probabilities (no value is negative, and each row adds up to 1); '
      'attacks need logits, so leave the softmax out, or return log-probabilities'
    )
  if not isinstance(logits_fn, Randomised):
    _check_steady(logits_fn, images)
  return classes


def answers(logits: np.ndarray) -> np.ndarray:
  """Whether rows are numbers, or minus infinity for masked classes, [N]."""
  masked = np.isneginf(logits)
  return np.all(np.isfinite(logits) | masked, -1) & ~np.all(masked, -1)


def check_finite(finite: np.ndarray) -> None:
  """Raises `InputError` if logits of clean images are not numbers; `finite` is [N]."""
  if not np.all(finite):
    raise InputError(
      f'logits_fn gives values that are not finite numbers on {np.sum(~finite)} of '
      f'{len(finite)} images, first on image {int(np.argmin(finite))}; repair the '
      'network or its weights (only minus infinity is allowed, for masked classes)'
    )


def unsteadiness(logits_fn: LogitsFn, images: np.ndarray) -> tuple[float, float]:
  """How far logits of a few images move: when asked again, and beside a black image.

  Relative to the largest logit.
  """
  few = jnp.asarray(images[:LOOKED_AT])
  ask = lambda x: np.asarray(logits_fn(x)).astype(np.float64)
  with float32_products():
    logits = ask(few)
    again = ask(few)
    beside = [ask(jnp.stack([image, jnp.zeros_like(image)]))[0] for image in few]
  real = np.abs(logits[np.isfinite(logits)])
  size = max(float(real.max(initial=0)), 1e-12)

  def moved(other: np.ndarray) -> float:
    # The same class masked again did not move.
    return float(np.where(other == logits, 0, np.abs(other - logits)).max()) / size

  with np.errstate(invalid='ignore'):
    return moved(again), moved(np.stack(beside))


def _check_steady(logits_fn: LogitsFn, images: np.ndarray) -> None:
  moved, beside = unsteadiness(logits_fn, images)
  most, told = TOLERANCE, ''
  if not max(moved, beside) <= most and (kind := low_precision(logits_fn, images[:1])):
    # Another batch is another order of additions, which a few digits show.
    most = COARSE * float(jnp.finfo(kind).eps)
    told = f', more than the {most:.2g} by which rounding in {kind} may move it'
  if not moved <= most:
    raise InputError(
      f'logits_fn answers differently when asked again (by {moved:.2g} of the largest '
      f'logit{told}): put dropout into evaluation mode, or pass its random keys with '
      "attacks.Randomised and use AutoAttack's version rand"
    )
  if not beside <= most:
    raise InputError(
      f'logits_fn answers differently for an image in another batch (by {beside:.2g} of '
      f'the largest logit{told}): put BatchNorm into evaluation mode, so that no image '
      'depends on others'
    )
