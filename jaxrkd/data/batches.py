"""The order of training images and the shape of batches.

Padding rows have position -1: they are computed and masked, so that every batch of a
program has one shape.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def steps_per_epoch(images: int, batch_size: int, drop_last: bool) -> int:
  """Batches in one pass over `images` images."""
  return images // batch_size if drop_last else -(-images // batch_size)


SAMPLING = ('uniform', 'class_balanced')
# key -> positions [N], in random order.
Draw = Callable[[Array], Array]


def uniform(images: int) -> Draw:
  """Draws each of `images` images once."""
  return lambda key: jax.random.permutation(key, images).astype(jnp.int32)


def class_balanced(labels: np.ndarray) -> Draw:
  """Draws as many images as there are, of each class as many as of any other.

  Of a class with fewer images all come again before one comes a third time; a class without
  images has no share.

  Args:
    labels: [N].
  """
  _, labels = np.unique(labels, return_inverse=True)
  sizes = np.bincount(labels)
  starts = np.cumsum(sizes) - sizes
  count, classes = len(labels), len(sizes)

  def draw(key: Array) -> Array:
    within, among, last = jax.random.split(key, 3)
    # The images of each class together, shuffled among themselves.
    grouped = jnp.lexsort((jax.random.uniform(within, (count,)), jnp.asarray(labels)))
    place = jnp.arange(count)
    # Which classes have one image more, where they do not go in evenly, is random.
    kind = jax.random.permutation(among, classes)[place % classes]
    turn = (place // classes) % jnp.asarray(sizes)[kind]
    drawn = grouped[jnp.asarray(starts)[kind] + turn]
    return jax.random.permutation(last, drawn).astype(jnp.int32)

  return draw


def epoch_order(
  key: Array, epoch: Array, draw: Draw, batch_size: int, drop_last: bool
) -> Array:
  """Positions [steps, batch_size] of one epoch: a pure function of (key, epoch)."""
  return _rows(draw(jax.random.fold_in(key, epoch)), batch_size, drop_last)


def extra_rows(batch_size: int, real_fraction: float) -> int:
  """Rows of a batch that come from the extra images: at least 1, but not all."""
  real = round(batch_size * real_fraction)
  return batch_size - min(max(real, 1), batch_size - 1)


def mixed_order(
  key: Array,
  epoch: Array,
  images: int,
  draw: Draw,
  draw_extra: Draw,
  batch_size: int,
  rows: int,
) -> Array:
  """As `epoch_order` of `images` images where each batch also has `rows` further ones.

  Extra images have positions from `images` on and lie at the end of a batch. An epoch has
  as many batches as one without them; within it no image comes twice unless it must.
  """
  real_key, extra_key = jax.random.split(jax.random.fold_in(key, epoch))
  steps = steps_per_epoch(images, batch_size, drop_last=False)

  def part(order: Array, wide: int) -> Array:
    return jnp.resize(order, (steps, wide))

  real = part(draw(real_key), batch_size - rows)
  return jnp.concatenate([real, images + part(draw_extra(extra_key), rows)], axis=1)


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
