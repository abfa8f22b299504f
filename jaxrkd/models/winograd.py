"""Winograd's F(2x2, 3x3): stride-1 3x3 convolutions as 16 matrix products.

Lavin & Gray, 2015, arXiv:1509.09308. Each 2 x 2 patch of the output needs a 4 x 4 patch of
the padded input. Transforming both sides turns its 36 multiplications per channel pair into
16, one per entry of the 4 x 4 patch: 16 products [patches, I] @ [I, O]. XLA fuses each
transform (additions only) into one loop over contiguous channels, and nothing here slows
down inside `lax.fori_loop`, unlike XLA's own convolution on CPU.
"""

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
Tile = list[list[Array]]  # [row][column], entries [B, patches down, patches across, C]


def _twice(transform, tile):
  """Applies a one-dimensional transform to the rows, then to the columns, of a tile."""
  rows = [transform(*column) for column in zip(*tile)]
  return [list(transform(*row)) for row in zip(*rows)]


def _input_transform(a, b, c, d):
  return a - c, b + c, c - b, b - d


def _kernel_transform(a, b, c):
  return a, 0.5 * (a + b + c), 0.5 * (a - b + c), c


def _kernel_transform_transposed(a, b, c, d):
  return a + 0.5 * (b + c), 0.5 * (b - c), 0.5 * (b + c) + d


def _output_transform(a, b, c, d):
  return a + b + c, b - c - d


def _output_transform_transposed(a, b):
  return a, a + b, a - b, -b


def _patches(images: Array) -> Tile:
  """The transformed 4 x 4 patches, at steps of 2, of zero-padded images."""
  batch, height, width, channels = images.shape
  down, across = -(-height // 2), -(-width // 2)
  border = ((0, 0), (1, 1 + height % 2), (1, 1 + width % 2), (0, 0))
  # Written out once: fused into its 16 readers, the border test stops vectorisation. (XLA of
  # jax 0.10 drops the barrier on CPU, and writes it out by itself.)
  padded = lax.optimization_barrier(jnp.pad(images, border))
  cells = padded.reshape(batch, down + 1, 2, across + 1, 2, channels)
  return _twice(
    _input_transform,
    [
      [
        cells[:, i // 2 : i // 2 + down, i % 2, j // 2 : j // 2 + across, j % 2]
        for j in range(4)
      ]
      for i in range(4)
    ],
  )


def _kernel_tile(kernel: Array) -> Tile:
  return _twice(_kernel_transform, [list(row) for row in kernel])


def _assemble(tile: Tile, height: int, width: int) -> Array:
  """Images from the 16 products."""
  (a, b), (c, d) = _twice(_output_transform, tile)
  batch, down, across, channels = a.shape
  images = jnp.stack([jnp.stack([a, b], axis=3), jnp.stack([c, d], axis=3)], axis=2)
  images = images.reshape(batch, 2 * down, 2 * across, channels)
  return images[:, :height, :width]


def _products(left: Tile, right: Tile, left_axes, right_axes) -> Tile:
  contract = ((left_axes, right_axes), ((), ()))
  return [
    [lax.dot_general(x, y, contract) for x, y in zip(xs, ys)]
    for xs, ys in zip(left, right)
  ]


def _rows(tile: Tile) -> Tile:
  """Every entry as a matrix [patches, C]."""
  return [[entry.reshape(-1, entry.shape[-1]) for entry in row] for row in tile]


@jax.custom_vjp
def winograd_conv(images: Array, kernel: Array) -> Array:
  """Stride-1 convolution with zero padding 1.

  Args:
    images: [B, H, W, I], any H and W.
    kernel: [3, 3, I, O].
  """
  tile = _products(_patches(images), _kernel_tile(kernel), (3,), (0,))
  return _assemble(tile, *images.shape[1:3])


def _winograd_fwd(images, kernel):
  return winograd_conv(images, kernel), (images, kernel)


def _winograd_bwd(saved, cotangent):
  images, kernel = saved
  height, width = images.shape[1:3]
  # Images: the same convolution with the kernel flipped, which swaps the first and last
  # entries of its transform, and its two channel axes swapped.
  flip = (3, 1, 2, 0)
  tile = _kernel_tile(kernel)
  tile = [[tile[i][j] for j in flip] for i in flip]
  tile = _products(_patches(cotangent), tile, (3,), (1,))
  images_bar = _assemble(tile, height, width)
  # Kernel: the transposed transforms around [I, patches] @ [patches, O].
  odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
  even = jnp.pad(cotangent, odd) if height % 2 or width % 2 else cotangent
  batch, *_, channels = even.shape
  cells = even.reshape(batch, -(-height // 2), 2, -(-width // 2), 2, channels)
  cells = [[cells[:, :, i, :, j] for j in range(2)] for i in range(2)]
  outer = _twice(_output_transform_transposed, cells)
  # As plain matrices: over three axes at once XLA's product takes a third longer.
  tile = _products(_rows(_patches(images)), _rows(outer), (0,), (0,))
  rows = _twice(_kernel_transform_transposed, tile)
  return images_bar, jnp.stack([jnp.stack(row) for row in rows])


winograd_conv.defvjp(_winograd_fwd, _winograd_bwd)
