"""Several adversarial images of each image: their layout, and how far they lie apart."""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def merge(particles: Array) -> Array:
  """[n, B, ...] -> [B n, ...]: the particles of an image stay together, on its device."""
  moved = jnp.moveaxis(particles, 0, 1)
  return moved.reshape(-1, *moved.shape[2:])


def part(merged: Array, count: int) -> Array:
  """[B n, ...] -> [n, B, ...]: undoes `merge`."""
  return jnp.moveaxis(merged.reshape(-1, count, *merged.shape[1:]), 1, 0)


def spread(particles: Array) -> dict[str, Array]:
  """Mean distance over the pairs of particles, per image (AT-AKA, Table 1).

  Args:
    particles: [n, B, H, W, C] in [0, 1].

  Returns:
    'linf' [B] in 8-bit pixel levels, 'l1' and 'l2' [B] in [0, 1] pixels; 0 where n is 1.
  """
  count = particles.shape[0]
  flat = particles.reshape(*particles.shape[:2], -1)
  found = {name: jnp.zeros(flat.shape[1], flat.dtype) for name in ('linf', 'l1', 'l2')}
  pairs = list(zip(*np.triu_indices(count, 1)))
  for i, j in pairs:
    apart = jnp.abs(flat[i] - flat[j])
    found['linf'] += 255 * apart.max(-1) / len(pairs)
    found['l1'] += apart.sum(-1) / len(pairs)
    found['l2'] += jnp.sqrt((apart * apart).sum(-1)) / len(pairs)
  return found
