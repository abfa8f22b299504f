"""Published augmentation policies: random operations on colours and shapes of an image."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.data import geometric, photometric

Array = jax.Array
Operation = Callable[[Array, Array], Array]
CORNER = (0.0, 0.0)

# IDBH's ColorShape (Li & Spratling, ICLR 2023, 2301.09879, and its code): the operation, how
# often it is drawn, from where to where its strength is uniform. Those with True have a
# random sign. Rotations are by whole degrees, the last one left out; shears by an angle in
# radians.
COLOR_SHAPE: dict[str, Sequence[tuple[str, float, float, float, bool]]] = {
  'color': (
    ('saturation', 0.125, 0.1, 1.9, False),
    ('brightness', 0.125, 0.5, 1.9, False),
    ('contrast', 0.125, 0.5, 1.9, False),
    ('sharpness', 0.125, 0.1, 1.9, False),
    ('autocontrast', 0.125, 0, 0, False),
    ('equalize', 0.125, 0, 0, False),
    ('shear', 0.125, 0.05, 0.15, True),
    ('rotate', 0.125, 1, 11, True),
  ),
  'shape': (
    ('saturation', 0.08, 0.1, 1.9, False),
    ('brightness', 0.08, 0.5, 1.9, False),
    ('contrast', 0.04, 0.5, 1.9, False),
    ('sharpness', 0.08, 0.1, 1.9, False),
    ('autocontrast', 0.04, 0, 0, False),
    ('equalize', 0.08, 0, 0, False),
    ('shear', 0.3, 0.05, 0.35, True),
    ('rotate', 0.3, 1, 31, True),
  ),
}

# AutoAugment's policy for CIFAR-10 (Cubuk et al., CVPR 2019, Table 7): two operations in a
# row, each with its probability and the step of its strength (0 to 9).
AUTOAUGMENT = (
  (('invert', 0.1, 0), ('contrast', 0.2, 6)),
  (('rotate', 0.7, 2), ('translate_x', 0.3, 9)),
  (('sharpness', 0.8, 1), ('sharpness', 0.9, 3)),
  (('shear_y', 0.5, 8), ('translate_y', 0.7, 9)),
  (('autocontrast', 0.5, 0), ('equalize', 0.9, 0)),
  (('shear_y', 0.2, 7), ('posterize', 0.3, 7)),
  (('saturation', 0.4, 3), ('brightness', 0.6, 7)),
  (('sharpness', 0.3, 9), ('brightness', 0.7, 9)),
  (('equalize', 0.6, 0), ('equalize', 0.5, 0)),
  (('contrast', 0.6, 7), ('sharpness', 0.6, 5)),
  (('saturation', 0.7, 7), ('translate_x', 0.5, 8)),
  (('equalize', 0.3, 0), ('autocontrast', 0.4, 0)),
  (('translate_y', 0.4, 3), ('sharpness', 0.2, 6)),
  (('brightness', 0.9, 6), ('saturation', 0.2, 8)),
  (('solarize', 0.5, 2), ('invert', 0.0, 0)),
  (('equalize', 0.2, 0), ('autocontrast', 0.6, 0)),
  (('equalize', 0.2, 0), ('equalize', 0.6, 0)),
  (('saturation', 0.9, 9), ('equalize', 0.6, 0)),
  (('autocontrast', 0.8, 0), ('solarize', 0.2, 8)),
  (('brightness', 0.1, 3), ('saturation', 0.7, 0)),
  (('solarize', 0.4, 5), ('autocontrast', 0.9, 0)),
  (('translate_y', 0.9, 9), ('translate_y', 0.7, 9)),
  (('autocontrast', 0.9, 0), ('solarize', 0.8, 3)),
  (('equalize', 0.8, 0), ('invert', 0.1, 0)),
  (('translate_y', 0.7, 9), ('autocontrast', 0.9, 0)),
)
STEPS = 10
# The strength of the highest step; a translation is a share of the edge.
SIGNED = {
  'shear_y': 0.3,
  'translate_x': 150 / 331,
  'translate_y': 150 / 331,
  'rotate': 30,
  'saturation': 0.9,
  'brightness': 0.9,
  'contrast': 0.9,
  'sharpness': 0.9,
}


def _plain(image: Array, strength: Array) -> Array:
  del strength
  return image


def _without_strength(operation: Callable[[Array], Array]) -> Operation:
  return lambda image, strength: operation(image)


OPERATIONS: dict[str, Operation] = {
  'nothing': _plain,
  'saturation': photometric.saturation,
  'brightness': photometric.brightness,
  'contrast': photometric.contrast,
  'sharpness': photometric.sharpness,
  'autocontrast': _without_strength(photometric.autocontrast),
  'equalize': _without_strength(photometric.equalize),
  'invert': _without_strength(photometric.invert),
  'solarize': photometric.solarize,
  'posterize': photometric.posterize,
  'rotate': geometric.rotate,
  'shear_x': lambda image, amount: geometric.shear_x(
    image, amount, geometric.middle(image)
  ),
  'shear_y': lambda image, amount: geometric.shear_y(
    image, amount, geometric.middle(image)
  ),
  'shear_y_corner': lambda image, amount: geometric.shear_y(image, amount, CORNER),
  'translate_x': lambda image, amount: geometric.shift(image, amount, jnp.float32(0)),
  'translate_y': lambda image, amount: geometric.shift(image, jnp.float32(0), amount),
}


def color_shape(key: Array, image: Array, *, kind: str) -> Array:
  """One random operation on colours or shape (IDBH's ColorShape).

  Args:
    key: this image's key.
    image: uint8 [H, W, C], C 1 or 3.
    kind: a key of `COLOR_SHAPE`, or '' for none.
  """
  if not kind:
    return image
  names, shares, low, high, signed = zip(*COLOR_SHAPE[kind], strict=True)
  which, strength_key, sign_key, axis_key = jax.random.split(key, 4)
  drawn = jax.random.choice(which, len(names), p=jnp.array(shares))
  part = jax.random.uniform(strength_key)
  bottom, top = jnp.array(low, jnp.float32)[drawn], jnp.array(high, jnp.float32)[drawn]
  strength = bottom + part * (top - bottom)
  strength = jnp.where(drawn == names.index('rotate'), jnp.floor(strength), strength)
  minus = jnp.array(signed)[drawn] & jax.random.bernoulli(sign_key)
  # Shears are told as an angle.
  strength = jnp.where(drawn == names.index('shear'), jnp.tan(strength), strength)
  strength = jnp.where(minus, -strength, strength)
  # A shear is along either axis.
  upright = (drawn == names.index('shear')) & jax.random.bernoulli(axis_key)
  operations = [OPERATIONS['shear_x' if name == 'shear' else name] for name in names]
  chosen = jnp.where(upright, len(names), drawn)
  return jax.lax.switch(chosen, [*operations, OPERATIONS['shear_y']], image, strength)


def _strength(name: str, step: int, edge: int) -> float:
  """What an operation of AutoAugment gets, before a random sign."""
  share = step / (STEPS - 1)
  if name == 'posterize':
    return 8 - round(4 * share)
  if name == 'solarize':
    return 255 * (1 - share)
  if name.startswith('translate'):
    return SIGNED[name] * edge * share
  return SIGNED.get(name, 0) * share


def autoaugment(key: Array, image: Array) -> Array:
  """One of AutoAugment's 25 pairs of operations for CIFAR-10, drawn at random.

  Args:
    key: this image's key.
    image: uint8 [H, W, C], C 1 or 3.
  """
  names = ('nothing', *sorted({op[0] for pair in AUTOAUGMENT for op in pair}))
  edges = {'translate_x': image.shape[1], 'translate_y': image.shape[0]}
  codes = np.array([[names.index(op[0]) for op in pair] for pair in AUTOAUGMENT])
  odds = np.array([[op[1] for op in pair] for pair in AUTOAUGMENT], np.float32)
  sizes = np.array(
    [[_strength(op[0], op[2], edges.get(op[0], 0)) for op in p] for p in AUTOAUGMENT],
    np.float32,
  )
  signed = np.array([name in SIGNED for name in names])
  enhances = ('saturation', 'brightness', 'contrast', 'sharpness')
  # These change nothing at 1, and the others at 0.
  rest = np.array([float(name in enhances) for name in names], np.float32)
  whole = np.array([name.startswith('translate') for name in names])
  operations = [OPERATIONS['shear_y_corner' if n == 'shear_y' else n] for n in names]
  which, apply_key, sign_key = jax.random.split(key, 3)
  pair = jax.random.randint(which, (), 0, len(AUTOAUGMENT))
  applied = jax.random.uniform(apply_key, (2,)) < jnp.array(odds)[pair]
  minus = jax.random.bernoulli(sign_key, shape=(2,))
  for k in range(2):
    code = jnp.where(applied[k], jnp.array(codes)[pair, k], 0)
    size = jnp.array(sizes)[pair, k]
    size = jnp.where(minus[k] & jnp.array(signed)[code], -size, size)
    size = jnp.where(jnp.array(whole)[code], jnp.trunc(size), size)
    image = jax.lax.switch(code, operations, image, size + jnp.array(rest)[code])
  return image
