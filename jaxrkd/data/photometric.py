"""Operations on the colours of one image of bytes, by the rules of Pillow.

The published augmentation policies were searched and measured with Pillow, whose rounding
these follow, so that a policy means here what it means there. Images are uint8 [H, W, C]
with C 1 or 3.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
LEVELS = 256
# ITU-R 601-2 in 16-bit fixed point, as Pillow has it.
LUMA, LUMA_HALF, LUMA_BITS = (19595, 38470, 7471), 0x8000, 16
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def _bytes(values: Array) -> Array:
  """Cuts to [0, 255] and drops the fraction, as Pillow does."""
  return jnp.clip(values, 0, 255).astype(jnp.uint8)


def _blend(plain: Array, image: Array, factor: Array) -> Array:
  """`plain` at factor 0, `image` at 1, further away from `plain` beyond."""
  plain, image = plain.astype(jnp.float32), image.astype(jnp.float32)
  return _bytes(plain + factor * (image - plain))


def grey(image: Array) -> Array:
  """[H, W, 1]: luma."""
  if image.shape[-1] == 1:
    return image
  weighted = image.astype(jnp.int32) @ jnp.array(LUMA, jnp.int32)
  return ((weighted + LUMA_HALF) >> LUMA_BITS).astype(jnp.uint8)[..., None]


def saturation(image: Array, factor: Array) -> Array:
  """0 is grey, 1 leaves the image."""
  return _blend(grey(image), image, factor)


def brightness(image: Array, factor: Array) -> Array:
  """0 is black, 1 leaves the image."""
  return _blend(jnp.zeros_like(image), image, factor)


def contrast(image: Array, factor: Array) -> Array:
  """0 is the mean luma everywhere, 1 leaves the image."""
  total = grey(image).astype(jnp.int32).sum()
  mean = jnp.floor(total / (image.shape[0] * image.shape[1]) + 0.5)
  return _blend(mean, image, factor)


def sharpness(image: Array, factor: Array) -> Array:
  """0 is smoothed by a 3x3 kernel (but for the border), 1 leaves the image."""
  if min(image.shape[:2]) < 3:
    return image
  rows, columns = image.shape[0] - 2, image.shape[1] - 2
  values = image.astype(jnp.float32)
  inner = sum(
    SMOOTH[i, j] * values[i : i + rows, j : j + columns]
    for i in range(3)
    for j in range(3)
  )
  smooth = image.at[1:-1, 1:-1].set(_bytes(inner + 0.5))
  return _blend(smooth, image, factor)


def autocontrast(image: Array) -> Array:
  """Stretches each channel to all of [0, 255]; one of a single value stays."""
  values = image.astype(jnp.float32)
  low, high = values.min((0, 1)), values.max((0, 1))
  scale = 255 / jnp.maximum(high - low, 1)
  return jnp.where(high > low, _bytes(values * scale - low * scale), image)


def equalize(image: Array) -> Array:
  """Makes the histogram of each channel as flat as it can be."""

  def channel(values: Array) -> Array:
    histogram = jnp.zeros(LEVELS, jnp.int32).at[values.ravel()].add(1)
    last = histogram[values.max()]
    step = (values.size - last) // (LEVELS - 1)
    below = jnp.cumsum(histogram) - histogram
    table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), LEVELS - 1)
    return jnp.where(step > 0, table.astype(jnp.uint8)[values], values)

  return jax.vmap(channel, -1, -1)(image)


def invert(image: Array) -> Array:
  """255 - value."""
  return 255 - image


def solarize(image: Array, threshold: Array) -> Array:
  """Inverts values from `threshold` on."""
  return jnp.where(image < threshold, image, 255 - image)


def posterize(image: Array, bits: Array) -> Array:
  """Keeps the `bits` highest bits."""
  return image & (jnp.uint8(255) << (8 - bits).astype(jnp.uint8))
