"""The bumps that Square adds in the L1 and L2 balls."""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def bump(rows: int, columns: int, power: int) -> np.ndarray:
  """Concentric rectangles that add up to a bump, of unit length, [rows, columns].

  Args:
    rows: height.
    columns: width.
    power: of the norm, 1 or 2; rectangle k weighs 1 / (k + 1)^2, in L1 1 / (k + 1)^4.
  """
  made = np.zeros((rows, columns))
  top, left = rows // 2, columns // 2
  for k in range(max(top, left) + 1):
    weight = 1 / (k + 1) ** (4 if power == 1 else 2)
    made[
      max(top - k, 0) : max(top + k + 1, 0), max(left - k, 0) : max(left + k + 1, 0)
    ] += weight
  return made / max(np.sum(made**power) ** (1 / power), 1e-12)


def window(side: int, power: int) -> np.ndarray:
  """A bump above its negative, of unit length, [side, side]."""
  made = np.zeros((side, side))
  half = side // 2
  made[:half] = bump(half, side, power)
  made[half:] = -bump(side - half, side, power)
  return made / np.sum(np.abs(made) ** power) ** (1 / power)


def mask(side: Array, corner: Array, height: int, width: int) -> Array:
  """1 inside the square whose upper left corner that is, [height, width]."""
  row = jnp.arange(height)[:, None] - corner[0]
  column = jnp.arange(width)[None] - corner[1]
  inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
  return inside.astype(jnp.float32)


class Windows:
  """The windows of all iterations, padded to the image.

  Args:
    sides: of the window of each iteration, [queries].
    height: of the images.
    width: of the images.
    power: of the norm, 1 or 2.
  """

  def __init__(self, sides: np.ndarray, height: int, width: int, power: int):
    self._height, self._width, self._power = height, width, power
    found = np.unique(sides)
    self.kinds = np.searchsorted(found, sides)
    table = np.zeros((len(found), 2, height, width), np.float32)
    for kind, side in enumerate(found):
      made = window(int(side), power)
      table[kind, 0, :side, :side] = made
      table[kind, 1, :side, :side] = made.T
    self._table = table

  def bump(self, kind: Array, corner: Array, key: Array) -> Array:
    """A window of this kind at a corner, lying on its side half of the time, [H, W]."""
    turned = jax.random.bernoulli(key).astype(jnp.int32)
    return jnp.roll(jnp.asarray(self._table)[kind, turned], corner, (0, 1))

  def grid(self, key: Array, channels: int) -> Array:
    """Windows all over the image, five to a side, with random signs, [H, W, C]."""
    side = max(min(self._height, self._width) // 5, 1)
    made = window(side, self._power)
    rows, columns = (
      range((size - 5 * side) // 2 if size >= 5 else 0, size - side + 1, side)
      for size in (self._height, self._width)
    )
    turn_key, sign_key = jax.random.split(key)
    shape = (len(rows), len(columns))
    turned = jax.random.bernoulli(turn_key, shape=shape)
    signs = jax.random.rademacher(sign_key, (*shape, channels), jnp.float32)
    tiles = jnp.where(turned[:, :, None, None], made.T, made)  # [rows, columns, s, s]
    tiles = tiles[..., None] * signs[:, :, None, None, :]
    height, width = (count * side for count in shape)
    whole = tiles.transpose(0, 2, 1, 3, 4).reshape(height, width, channels)
    above, before = rows[0], columns[0]
    below, after = self._height - above - height, self._width - before - width
    return jnp.pad(whole, ((above, below), (before, after), (0, 0)))
