"""Gabor: procedural noise of one random orientation pattern, with adversarial seeds."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.unforeseen.corruption import (
  Corruption,
  convolve,
  corruption_search,
  step_length,
  to_unit,
)
from jaxrkd.errors import one_of

Array = jax.Array
KERNEL = 23
MOST_SIDES = 10
ONE_IN = 14  # pixels, of which one holds a seed
EVENNESS = 0.001


@built_once
def gabor(
  *,
  strength: float = 25.0,
  steps: int = 200,
  step_size: float = 0.0,
  moved: str = 'seeds',
) -> Attack:
  """Sign ascent on sparse seeds of Gabor noise (Kang et al., 2019, 1908.08016).

  Published strengths, for ImageNet-100 only: 6.25, 12.5, 25, 400, 800, 1600.

  Args:
    strength: brightness of the noise where it is largest, in 8-bit levels (0 to 255).
    steps: gradient evaluations.
    step_size: in the seeds' own range [-1, 1]; 0 takes the published 0.002236.
    moved: 'seeds', the 1 in 14 pixels that are not zero at first, or 'others', what the
      published code moves: it erases the seeds at its first step.

  Raises:
    InputError: strength not above 0, fewer than 1 step, negative step size, another
      `moved`.
  """
  step_size = step_length(strength, steps, step_size, 0.002236)
  corruption = gabor_corruption(strength, moved)
  return Attack(corruption_search(corruption, steps=steps, step_size=step_size))


def gabor_corruption(strength: float, moved: str = 'seeds') -> Corruption:
  """The change by `gabor`; free are the seeds [H, W] in [-1, 1]."""
  one_of(moved, ('seeds', 'others'), 'gabor moved')

  def start(key: Array, image: Array):
    place_key, value_key, kernel_key = jax.random.split(key, 3)
    shape = image.shape[:2]
    count = max(round(shape[0] * shape[1] / ONE_IN), 1)
    order = jax.random.permutation(place_key, shape[0] * shape[1]).reshape(shape)
    sown = (order < count).astype(image.dtype)
    seeds = sown * jax.random.uniform(value_key, shape, image.dtype, -1, 1)
    mask = sown if moved == 'seeds' else 1 - sown
    return seeds, (mask, draw_kernel(kernel_key, image.dtype))

  def render(seeds: Array, fixed, image: Array) -> Array:
    noise = even_noise(convolve(seeds[None], fixed[1][None]))
    return to_unit(image + strength / 255 * noise[..., None])

  def project(seeds: Array, fixed, image) -> Array:
    del image
    return jnp.clip(seeds, -1, 1) * fixed[0]

  return Corruption(start, render, project)


def draw_kernel(key: Array, dtype: jnp.dtype) -> Array:
  """[23, 23]: 1 to 10 waves under a Gaussian, turned evenly over half a circle."""
  sides_key, sigma_key, wave_key, angle_key = jax.random.split(key, 4)
  sides = jax.random.randint(sides_key, (), 1, MOST_SIDES + 1)
  sigma = jax.random.uniform(sigma_key, (), dtype, 0.1, 0.4)
  waves = jax.random.uniform(wave_key, (), dtype, 3, KERNEL / 4)
  angle = jax.random.uniform(angle_key, (), dtype, 0, np.pi)
  return gabor_kernel(sides, sigma, waves, angle)


def gabor_kernel(sides: Array, sigma: Array, waves: Array, angle: Array) -> Array:
  """Sum of `sides` Gabor functions on a square of side 1, [23, 23].

  Args:
    sides: integer from 1 to 10; the waves' directions are pi / sides apart.
    sigma: of the Gaussian, in sides of the square.
    waves: how many fit into the square.
    angle: of the first wave, in radians.
  """
  at = jnp.linspace(-0.5, 0.5, KERNEL, dtype=sigma.dtype)
  squared = at[:, None] ** 2 + at[None] ** 2
  turn = jnp.arange(MOST_SIDES, dtype=sigma.dtype)
  sides = jnp.asarray(sides, turn.dtype)
  angles = (angle + np.pi * turn / sides)[:, None, None]
  along = at[None, None] * jnp.cos(angles) + at[None, :, None] * jnp.sin(angles)
  harmonics = (turn < sides.astype(turn.dtype)).astype(turn.dtype)[
    :, None, None
  ] * jnp.cos(2 * np.pi * waves * along)
  return jnp.exp(-0.5 * squared / (sigma + 1e-3) ** 2) * harmonics.sum(0)


def even_noise(noise: Array) -> Array:
  """Evens out the contrast of [H, W] noise, then scales it to fill [0, 1].

  As published, each pixel is divided by its own distance from the mean, so the result is
  close to two-valued, and all scales are constants of differentiation.
  """
  mean = jax.lax.stop_gradient(noise.mean())
  away = jax.lax.stop_gradient(jnp.abs(noise - mean))
  contrast = away / jnp.maximum(away.max(), 1e-12)
  even = mean + (noise - mean) * ((EVENNESS + 1) / (EVENNESS + contrast))
  low = jax.lax.stop_gradient(even.min())
  high = jax.lax.stop_gradient(even.max())
  return (even - low) / jnp.maximum(high - low, 1e-12)
