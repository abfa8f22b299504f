"""Random crops and flips, image by image, inside the compiled step."""

import jax
import jax.numpy as jnp

Array = jax.Array


def crop_and_flip(key: Array, image: Array, *, pad: int, flip: bool) -> Array:
  """Zero-pads by `pad`, cuts the original size at random, mirrors with probability 1/2.

  Args:
    key: this image's key.
    image: [H, W, C], any type.
    pad: pixels on each side; 0 does not crop.
    flip: whether to mirror left and right at all.
  """
  crop_key, flip_key = jax.random.split(key)
  if pad:
    padded = jnp.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    top, left = jax.random.randint(crop_key, (2,), 0, 2 * pad + 1)
    image = jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)
  if flip:
    image = jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)
  return image
