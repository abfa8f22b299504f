"""Elastic: a smooth adversarial displacement of every pixel."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.unforeseen.corruption import (
  Corruption,
  corruption_search,
  step_length,
  to_unit,
)
from jaxrkd.errors import InputError, above_zero

Array = jax.Array


@built_once
def elastic(
  *,
  strength: float = 0.5,
  steps: int = 200,
  step_size: float = 0.0,
  kernel: int = 5,
  std: float = 3 / 224 * 32,
) -> Attack:
  """Sign ascent on a smoothed flow that warps the image (Kang et al., 2019, 1908.08016).

  Published strengths: CIFAR-10 0.125, 0.25, 0.5, 1, 2, 8; ImageNet-100 0.25, 0.5, 2, 4,
  8, 16, with kernel 25 and std 3.

  Args:
    strength: largest displacement in each direction before smoothing, in pixels (a side
      of n pixels counts n - 1 of n, as published).
    steps: gradient evaluations.
    step_size: in pixels; 0 takes the published strength / sqrt(steps).
    kernel: side of the Gaussian that smooths the flow, odd, in pixels.
    std: of that Gaussian, in pixels.

  Raises:
    InputError: strength or std not above 0, fewer than 1 step, negative step size, an
      even kernel.
  """
  step_size = step_length(strength, steps, step_size)
  corruption = elastic_corruption(strength, kernel, std)
  return Attack(corruption_search(corruption, steps=steps, step_size=step_size))


def elastic_corruption(
  strength: float, kernel: int = 5, std: float = 3 / 224 * 32
) -> Corruption:
  """The change by `elastic`; free is the flow [2, H, W] in pixels, not yet smoothed."""
  above_zero(std, 'elastic std')
  if not (kernel >= 1 and kernel % 2 == 1):
    raise InputError(f'elastic kernel is {kernel}; it must be odd and at least 1')
  weights = gaussian(kernel, std)

  def start(key: Array, image: Array):
    shape = (2, *image.shape[:2])
    return jax.random.uniform(key, shape, image.dtype, -strength, strength), ()

  def render(flow: Array, fixed, image: Array) -> Array:
    del fixed
    return to_unit(warp(image, smooth(flow, weights)))

  def project(flow: Array, fixed, image) -> Array:
    del fixed, image
    return jnp.clip(flow, -strength, strength)

  return Corruption(start, render, project)


def gaussian(side: int, std: float) -> np.ndarray:
  """[side] weights with sum 1."""
  weights = np.exp(-0.5 * ((np.arange(side) - side // 2) / std) ** 2)
  return weights / weights.sum()


def smooth(flow: Array, weights: np.ndarray) -> Array:
  """Separable filter of [2, H, W], mirrored at the borders without their pixel."""
  down, across = (
    jnp.asarray(_filter_matrix(side, weights), flow.dtype) for side in flow.shape[1:]
  )
  # Full precision: GPUs otherwise round products to 10 bits.
  return jnp.einsum('ab,kbc,dc->kad', down, flow, across, precision='highest')


def _filter_matrix(side: int, weights: np.ndarray) -> np.ndarray:
  edge = len(weights) // 2
  wide = np.pad(np.eye(side), ((edge, edge), (0, 0)), mode='reflect')
  return np.tensordot(weights, [wide[i : i + side] for i in range(len(weights))], 1)


def warp(image: Array, flow: Array) -> Array:
  """Bilinear samples of [H, W, C] at each pixel's place plus its flow; 0 outside.

  Args:
    image: [H, W, C].
    flow: [2, H, W], rightwards then downwards.
  """
  height, width = image.shape[:2]
  rows = jnp.arange(height, dtype=flow.dtype)[:, None] + flow[1] * (1 - 1 / height)
  columns = jnp.arange(width, dtype=flow.dtype)[None] + flow[0] * (1 - 1 / width)

  def sample(plane: Array) -> Array:
    return map_coordinates(plane, [rows, columns], order=1, mode='constant')

  return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
