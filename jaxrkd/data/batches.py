"""The order of training images and the shape of batches.

Padding rows have position -1: they are computed and masked, so that every batch of a
program has one shape.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def steps_per_epoch(images: int, batch_size: int, drop_last: bool) -> int:
  """Batches in one pass over `images` images."""
  return images // batch_size if drop_last else -(-images // batch_size)


def epoch_order(
  key: Array, epoch: Array, images: int, batch_size: int, drop_last: bool
) -> Array:
  """Positions [steps, batch_size] of one epoch: a pure function of (key, epoch)."""
  order = jax.random.permutation(jax.random.fold_in(key, epoch), images)
  return _rows(order.astype(jnp.int32), batch_size, drop_last)


def plain_order(images: int, batch_size: int) -> np.ndarray:
  """Positions [steps, batch_size] of one pass in file order, the last row padded."""
  return np.asarray(_rows(np.arange(images, dtype=np.int32), batch_size, drop_last=False))


def _rows(order, batch_size: int, drop_last: bool):
  steps = steps_per_epoch(len(order), batch_size, drop_last)
  short = steps * batch_size - len(order)
  xp = jnp if isinstance(order, jax.Array) else np
  order = order[: steps * batch_size] if short < 0 else order
  order = xp.pad(order, (0, max(short, 0)), constant_values=-1)
  return order.reshape(steps, batch_size)


def gather(data: dict[str, Array], position: Array) -> dict[str, Array]:
  """The examples at `position` [B], with `mask` [B]: 1 for real rows, 0 for padding."""
  rows = jnp.maximum(position, 0)
  batch = {name: values[rows] for name, values in data.items()}
  return {**batch, 'mask': (position >= 0).astype(jnp.float32)}
