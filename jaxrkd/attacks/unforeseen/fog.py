"""Fog: a fractal cloud of plasma noise whose every random number is adversarial."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.unforeseen.corruption import (
  BATCH,
  Corruption,
  corruption_search,
  step_length,
  to_unit,
)
from jaxrkd.errors import above_zero, one_of

Array = jax.Array
ROUGHNESS = 100.0


@built_once
def fog(
  *,
  strength: float = 128.0,
  steps: int = 200,
  step_size: float = 0.0,
  decay: float = 2.0,
  norm: str = 'image',
) -> Attack:
  """Sign ascent on the noise of a diamond-square cloud (Kang et al., 2019, 1908.08016).

  The image is (x + e F) / (x_max + e) in 8-bit levels, with e the strength, F in [0, 1]
  the cloud, x_max the largest level of the image's channel. Published strengths, for
  ImageNet-100 only: 128, 256, 512, 2048, 4096, 8192.

  Args:
    strength: e, in 8-bit levels (0 to 255).
    steps: gradient evaluations.
    step_size: in the noise's own range [0, 1]; 0 takes the published 0.002236.
    decay: how much fainter the noise is at each finer level; the paper's code has 2.
    norm: 'image' scales each cloud to fill [0, 1]; 'batch' scales all clouds of a batch
      together, as the paper's code does: verdicts then depend on the batch.

  Raises:
    InputError: strength or decay not above 0, fewer than 1 step, negative step size, an
      unknown norm.
  """
  step_size = step_length(strength, steps, step_size, 0.002236)
  corruption = fog_corruption(strength, decay, norm)
  return Attack(corruption_search(corruption, steps=steps, step_size=step_size))


def fog_corruption(
  strength: float, decay: float = 2.0, norm: str = 'image'
) -> Corruption:
  """The change by `fog`; free are the random numbers of `cloud_map`."""
  above_zero(decay, 'fog decay')
  one_of(norm, ('image', 'batch'), 'fog norm')
  added = strength / 255

  def start(key: Array, image: Array):
    sides = [2**level for level in range(_levels(image))]
    ends = np.cumsum([3 * side**2 for side in sides])
    # One draw: XLA is slow to compile each.
    parts = jnp.split(jax.random.uniform(key, (ends[-1],), image.dtype), ends[:-1])
    noise = [part.reshape(3, side, side) for part, side in zip(parts, sides)]
    return tuple(noise), ()

  def render(noise, fixed, image: Array) -> Array:
    del fixed
    cloud = cloud_map(noise, decay, norm == 'batch')
    height, width = image.shape[:2]
    top, left = (len(cloud) - height) // 2, (len(cloud) - width) // 2
    cloud = cloud[top : top + height, left : left + width, None]
    return to_unit((image + added * cloud) / (image.max((0, 1), keepdims=True) + added))

  def project(noise, fixed, image):
    del fixed, image
    return jax.tree.map(lambda u: jnp.clip(u, 0, 1), noise)

  return Corruption(start, render, project)


def _levels(image: Array) -> int:
  """log2 of the map's side: the power of two above the image's, as published."""
  return max(image.shape[:2]).bit_length()


def cloud_map(
  noise: tuple[Array, ...], decay: float = 2.0, together: bool = False
) -> Array:
  """Diamond-square noise on a torus, scaled to fill [0, 1].

  Args:
    noise: for each level i, coarse to fine, [3, 2^i, 2^i] in [0, 1]: of the new points in
      the middle of squares, on horizontal edges and on vertical edges.
    decay: divides the noise from one level to the next.
    together: find minimum and maximum over the whole batch.

  Returns:
    [2^n, 2^n] for n levels, with minimum 0 and maximum 1.
  """
  grid = jnp.zeros((1, 1), noise[0].dtype)
  roughness = ROUGHNESS
  for level in noise:
    wobble = roughness * (2 * level - 1)
    # Sums with a neighbour as products: XLA is slow to compile so many rolled arrays.
    pair, far = _pairs(len(grid), 1, grid.dtype), _pairs(len(grid), -2, grid.dtype)
    right, below = _dot(grid, pair), _dot(pair.T, grid)
    middle = _dot(below, pair) / 4 + wobble[0]
    # The published code rolls by 2 here, where a neighbour is 1 away; so do its results.
    top = (_dot(far.T, middle) + right) / 4 + wobble[1]
    side = (_dot(middle, far) + below) / 4 + wobble[2]
    grid = _interleave(grid, top, side, middle)
    roughness /= decay
  # The gradients of minimum and maximum look for the entries that equal them. Without the
  # barrier XLA may compute the cloud again for that, rounded differently: none equals, and
  # the gradient is infinite.
  grid = jax.lax.optimization_barrier(grid)
  low, high = grid.min(), grid.max()
  if together:
    low = jax.lax.all_gather(low, BATCH).min()
    high = jax.lax.all_gather(high, BATCH).max()
  return (grid - low) / jnp.maximum(high - low, 1e-12)


def _pairs(side: int, step: int, dtype: jnp.dtype) -> Array:
  """[S, S]: grid @ this adds to each cell the one `step` columns on, around a torus."""
  return jnp.asarray(np.eye(side) + np.roll(np.eye(side), step, 0), dtype)


def _dot(left: Array, right: Array) -> Array:
  # Full precision: GPUs otherwise round products to 10 bits.
  return jnp.matmul(left, right, precision='highest')


def _interleave(even: Array, right: Array, below: Array, both: Array) -> Array:
  """Four [S, S] arrays to [2S, 2S]: each cell becomes [[even, right], [below, both]]."""
  rows = jnp.stack([jnp.stack([even, right], -1), jnp.stack([below, both], -1)], 1)
  return rows.reshape(2 * even.shape[0], 2 * even.shape[1])
