"""Shifts, shears and rotations of one image of bytes; what comes from outside is black."""

import jax
import jax.numpy as jnp

Array = jax.Array


def affine(image: Array, matrix: Array, origin: tuple[float, float]) -> Array:
  """Takes each pixel from where `matrix` sends it, without interpolation.

  Args:
    image: [H, W, C], any type.
    matrix: [2, 3]: (x, y) of a pixel's middle, relative to `origin`, in the result ->
      (x, y) in `image`, relative to `origin`, in pixels.
    origin: (x, y), the point that the matrix without its last column leaves alone.
  """
  height, width = image.shape[:2]
  y, x = jnp.mgrid[:height, :width] + 0.5
  x, y = x - origin[0], y - origin[1]
  column = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + origin[0]
  row = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + origin[1]
  inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
  rows, columns = (jnp.floor(v).astype(jnp.int32) for v in (row, column))
  found = image[jnp.clip(rows, 0, height - 1), jnp.clip(columns, 0, width - 1)]
  return jnp.where(inside[..., None], found, 0).astype(image.dtype)


def _matrix(a, b, c, d, e, f) -> Array:
  return jnp.array([[a, b, c], [d, e, f]], jnp.float32)


def middle(image: Array) -> tuple[float, float]:
  """(x, y) of the middle of an image [H, W, C], in pixels."""
  return image.shape[1] / 2, image.shape[0] / 2


def shear_x(image: Array, amount: Array, origin: tuple[float, float]) -> Array:
  """Moves a row by `amount` times its distance from `origin`, against the columns."""
  return affine(image, _matrix(1, amount, 0, 0, 1, 0), origin)


def shear_y(image: Array, amount: Array, origin: tuple[float, float]) -> Array:
  """Moves a column by `amount` times its distance from `origin`, against the rows."""
  return affine(image, _matrix(1, 0, 0, amount, 1, 0), origin)


def shift(image: Array, right: Array, down: Array) -> Array:
  """Moves the image by whole pixels."""
  return affine(image, _matrix(1, 0, -right, 0, 1, -down), (0.0, 0.0))


def rotate(image: Array, degrees: Array) -> Array:
  """Turns the image about its middle, anti-clockwise."""
  turn = jnp.deg2rad(degrees)
  cos, sin = jnp.cos(turn), jnp.sin(turn)
  return affine(image, _matrix(cos, -sin, 0, sin, cos, 0), middle(image))
