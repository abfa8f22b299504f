"""What may stand in the place of each argument of an attack, said in one sentence.

Shapes and types are looked at always, values only where arrays are concrete: inside a
compiled program they are not known.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import InputError

Array = jax.Array
ORDER = 'attack(key, logits_fn, images, labels)'
# Rounding of 8-bit levels, resizing and normalisation undone; beyond it, another range.
ROUNDING = 1e-5
# Rows and columns that no image has as few of.
FEW = 4
SIGMOID = 'jnp.concatenate([jnp.zeros_like(z), z], -1)'


def attack_arguments(
  key: Any, logits_fn: Any, images: Any, labels: Any
) -> tuple[Array, Array, Array]:
  """Checks what an attack is called with; returns key, images and labels to work with.

  Raises:
    InputError: see `base.Attack`.
  """
  if callable(key) or callable(images) or not callable(logits_fn):
    raise InputError(
      f'logits_fn is {told(logits_fn)}; the order of arguments is {ORDER}, with a pure '
      'function from images to logits in the second place'
    )
  checked = checked_images(images)
  classes = class_count(logits_fn, checked)
  check_labels(labels, len(checked), classes)
  return checked_key(key, len(checked)), checked, jnp.asarray(labels)


def search_arguments(
  key: Any, objective: Any, images: Any, particles: int | None = None
) -> tuple[Array, Array]:
  """Checks what a search is called with; returns key and images to work with.

  Args:
    key: see `base.Search`.
    objective: see `base.Search`.
    images: see `base.Search`.
    particles: how many of each image the objective is about, in `together`.

  Raises:
    InputError: something else in the place of an argument.
  """
  if callable(key) or callable(images) or not callable(objective):
    raise InputError(
      f'objective is {told(objective)}; the order of arguments is search(key, objective, '
      'images), with a function from images to one value each in the second place'
    )
  checked = checked_images(images)
  if not isinstance(checked, jax.core.Tracer):
    many = () if particles is None else (particles,)
    asked = jax.ShapeDtypeStruct((*many, *checked.shape), checked.dtype)
    given = jax.eval_shape(objective, asked)
    wanted = (*many, len(checked))
    if getattr(given, 'shape', None) != wanted:
      # A sum or a mean would let images see each other.
      raise InputError(
        f'objective gives {told(given)} for images of shape {asked.shape}; it must give one '
        f'value for each, {list(wanted)}'
      )
  return checked_key(key, len(checked)), checked


def checked_key(key: Any, count: int) -> Array:
  """A typed key, or one for each image, also from keys of the old style.

  Raises:
    InputError: something else.
  """
  typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
  shape = np.shape(key)
  if not typed and shape[-1:] == (2,) and getattr(key, 'dtype', None) == np.uint32:
    key, typed, shape = jax.random.wrap_key_data(jnp.asarray(key)), True, shape[:-1]
  if not typed or shape not in ((), (count,)):
    what = f'keys of shape {shape}' if typed else told(key)
    raise InputError(
      f'key is {what}; give jax.random.key(0), or one for each of the {count} images '
      '(attacks.example_keys)'
    )
  return key


def checked_images(images: Any) -> Array:
  """Images as floats in [0, 1]; 8-bit ones are divided by 255.

  Raises:
    InputError: another shape, type or range, or entries that are no numbers.
  """
  if check_image_type(images)[1] == np.uint8:
    return jnp.asarray(images).astype(np.float32) / np.float32(255)
  images = jnp.asarray(images)
  if isinstance(images, jax.core.Tracer):
    return images
  if not check_range(np.asarray(images)):
    return images
  return jnp.clip(images, 0, 1)


def check_image_type(images: Any) -> tuple[tuple[int, ...], np.dtype]:
  """Raises `InputError` unless these are [B, H, W, C], one or more, floats or uint8."""
  if hasattr(images, 'numpy') and not isinstance(images, np.ndarray | jax.Array):
    raise InputError(
      f'images are a {type(images).__module__}.{type(images).__name__}; give an array of '
      'numpy or JAX, such as images.numpy(), [B, height, width, channels]'
    )
  if not hasattr(images, 'shape') or not hasattr(images, 'dtype'):
    raise InputError(
      f'images are {told(images)}; give an array [B, height, width, channels]'
    )
  shape, dtype = tuple(images.shape), images.dtype
  if len(shape) != 4 or not shape[0]:
    hint = ''
    if len(shape) == 3:
      hint = ': images[None] for one image, images[..., None] for a batch of grey ones'
    if len(shape) == 1:
      hint = f'; the order of arguments is {ORDER}'
    raise InputError(
      f'images have shape {shape}; give at least one, as [B, height, width, channels]{hint}'
    )
  if shape[1] in (1, 3) and shape[3] not in (1, 3) and min(shape[2:]) > FEW:
    raise InputError(
      f'images have shape {shape}, with channels first; give [B, height, width, channels]: '
      'images.transpose(0, 2, 3, 1), and let logits_fn turn them back if it needs to'
    )
  if dtype != np.uint8 and not jnp.issubdtype(dtype, jnp.floating):
    raise InputError(f'images are {dtype}; give floats in [0, 1], or uint8 in 0 to 255')
  return shape, dtype


def check_range(images: np.ndarray) -> bool:
  """Whether rounding put some images a little outside of [0, 1].

  Raises:
    InputError: they reach further, or hold what is no number.
  """
  low, high = float(images.min()), float(images.max())
  if np.isnan(low) or np.isnan(high):
    first = int(np.argmax(np.isnan(images.astype(np.float32)).any(axis=(1, 2, 3))))
    raise InputError(
      f'images hold NaN, first in image {first}; repair such images or leave them out'
    )
  if low < -ROUNDING or high > 1 + ROUNDING:
    raise InputError(
      f'images reach from {low:.4g} to {high:.4g}, but attacks need [0, 1]: divide them by '
      'the largest value that a pixel can have (255 where they have 8 bits), and put '
      'normalisation into logits_fn'
    )
  return low < 0 or high > 1


def class_count(logits_fn: Callable[[Array], Any], images: Array) -> int:
  """How many classes a function knows, from the shape of what it gives.

  Raises:
    InputError: it fails, or gives no logits.
  """
  try:
    given = jax.eval_shape(logits_fn, images)
  except InputError:
    raise
  except Exception as error:
    raise fails(error, images.shape, images.dtype) from error
  return check_logits(given, images.shape)


# What JAX says of a function that leaves it for numpy or Python's own numbers.
UNTRACEABLE = (
  jax.errors.TracerArrayConversionError,
  jax.errors.TracerBoolConversionError,
  jax.errors.TracerIntegerConversionError,
  jax.errors.ConcretizationTypeError,
)


def fails(error: Exception, shape: tuple[int, ...], dtype: Any) -> InputError:
  """The sentence for a function that cannot be asked about images."""
  if isinstance(error, UNTRACEABLE):
    return InputError(
      f'logits_fn cannot be traced by JAX ({type(error).__name__}): it computes in numpy or '
      'another framework; give it by jaxrkd.interop.from_numpy(function, classes), which '
      'attacks without gradients can ask, or write it in jax.numpy'
    )
  text = (str(error).strip() or 'no message').split('\n')[0]
  return InputError(
    f'logits_fn fails on images of shape {shape} and type {dtype}: '
    f'{type(error).__name__}: {text}; it must map [B, height, width, channels] to '
    '[B, classes]'
  )


def check_logits(given: Any, shape: tuple[int, ...]) -> int:
  """Returns the number of classes of what a function gave for images of this shape.

  Args:
    given: what it gave, or shapes and types of that.
    shape: of the images.

  Raises:
    InputError: not [B, classes] floats, with two classes or more.
  """
  if isinstance(given, dict):
    names = ', '.join(map(repr, given))
    raise InputError(
      f'logits_fn gives a dictionary with {names}; give the logits alone, such as '
      f'lambda x: f(x)[{next(iter(given), "logits")!r}]'
    )
  if isinstance(given, tuple | list):
    raise InputError(
      f'logits_fn gives {len(given)} things; give the logits alone, such as '
      'lambda x: f(x)[0]'
    )
  out = tuple(getattr(given, 'shape', ()))
  if out in ((shape[0],), (shape[0], 1)):
    way = SIGMOID if len(out) == 2 else 'jnp.stack([jnp.zeros_like(z), z], -1)'
    raise InputError(
      f'logits_fn gives {list(out)}, one number for each image; attacks need one for '
      f'each class: for the logit z of a sigmoid, return {way}'
    )
  if len(out) != 2 or out[0] != shape[0] or out[1] < 2:
    raise InputError(
      f'logits_fn maps images of shape {shape} to {out}; it must give '
      f'[{shape[0]}, classes], with 2 classes or more'
    )
  if not jnp.issubdtype(given.dtype, jnp.floating):
    raise InputError(
      f'logits_fn gives {given.dtype}, such as predicted classes; attacks need logits, '
      'which are floats'
    )
  return out[1]


def check_labels(labels: Any, count: int, classes: int | None = None) -> None:
  """Refuses what is no integer array [B] of classes.

  Args:
    labels: of the images.
    count: of the images.
    classes: how many there are; None where it is not known yet.

  Raises:
    InputError: another shape or type, or labels that are no classes.
  """
  shape, dtype = np.shape(labels), getattr(labels, 'dtype', None)
  dtype = np.asarray(labels).dtype if dtype is None else dtype
  if len(shape) == 2 and shape[0] == count and shape[1] > 1:
    raise InputError(
      f'labels have shape {shape}; give one integer for each image: for one-hot labels, '
      'write labels.argmax(-1)'
    )
  if shape != (count,) or not jnp.issubdtype(dtype, jnp.integer):
    hint = ''
    if shape == (count, 1):
      hint = ': labels[:, 0]'
    elif shape == (count,) and jnp.issubdtype(dtype, jnp.floating):
      whole = isinstance(labels, jax.core.Tracer) or not np.any(np.asarray(labels) % 1)
      hint = ': labels.astype(int)' if whole else '; these have fractions'
    elif len(shape) == 4:
      hint = f'; the order of arguments is {ORDER}'
    raise InputError(
      f'labels have shape {shape} and type {dtype}; give one integer for each of the '
      f'{count} images{hint}'
    )
  if not isinstance(labels, jax.core.Tracer):
    check_label_values(np.asarray(labels), classes)


def check_label_values(labels: np.ndarray, classes: int | None) -> None:
  """Raises `InputError` for labels below 0 or beyond the classes."""
  if labels.min() < 0 or (classes is not None and labels.max() >= classes):
    known = f'logits_fn has {classes} classes' if classes else 'classes count from 0'
    most = f'; labels count from 0 to {classes - 1}' if classes else ''
    raise InputError(
      f'labels reach from {labels.min()} to {labels.max()}, but {known}{most}'
    )


def check_attack(attack: Any, kinds: tuple[type, ...]) -> None:
  """Refuses what is no attack, and shows what would be.

  Args:
    attack: of one of `kinds`, or a function like one.
    kinds: the classes of attacks.

  Raises:
    InputError: something else.
  """
  if isinstance(attack, kinds):
    return
  wanted = 'give an attack, such as attacks.autoattack(attacks.Linf(8 / 255))'
  if hasattr(attack, 'climb'):
    raise InputError(
      'the attack is a Search, which has no objective of its own; give '
      'attacks.Attack(search), which maximises the cross-entropy of the true label'
    )
  if isinstance(attack, str):
    raise InputError(f'the attack is {attack!r}; {wanted}')
  if hasattr(attack, 'project'):
    raise InputError(f'the attack is {attack!r}, a threat set; {wanted}')
  if not callable(attack):
    raise InputError(f'the attack is {told(attack)}; {wanted}')
  try:
    signature = inspect.signature(attack)
  except (TypeError, ValueError):
    return  # built in: only a call can tell
  names = list(signature.parameters)
  name = getattr(
    attack, '__name__', getattr(getattr(attack, 'func', None), '__name__', '')
  )
  try:
    signature.bind(*range(4))
    fits = True
  except TypeError:
    fits = False
  ball, strength = names[:1] == ['threat'], 'strength' in names and not fits
  factory = ball or strength
  if factory or not fits:
    made = f'attacks.{name or "pgd"}({"attacks.Linf(8 / 255)" if ball else ""})'
    way = f'call it first, such as {made}' if factory else f'it must take {ORDER[6:]}'
    raise InputError(f'the attack is the function {name or told(attack)}; {way}')


def told(value: Any) -> str:
  """A value in a few words, for messages."""
  if hasattr(value, 'shape') and hasattr(value, 'dtype'):
    return f'an array of shape {tuple(value.shape)} and type {value.dtype}'
  if callable(value):
    return f'the function {getattr(value, "__name__", type(value).__name__)}'
  text = repr(value)
  return text if len(text) < 40 else f'a {type(value).__name__}'
