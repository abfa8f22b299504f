"""Two-dimensional convolutions that are fast on every backend.

XLA's CPU convolutions run single-threaded inside loops (measured: 2.5 times slower in a
`fori_loop` than unrolled), which is where every attack lives. There a k x k convolution
is written as k*k shifted slices and one matrix product, which keeps its speed in a loop
and compiles once; GPUs and TPUs get XLA's own convolution. `benchmarks/convolution.py`
measures both.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def _shifted(images: Array, size: int, stride: int) -> list[Array]:
  """The k*k views of zero-padded images that a k x k kernel multiplies, row by row."""
  batch, height, width, channels = images.shape
  pad = size // 2
  out_h, out_w = -(-height // stride), -(-width // stride)
  padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  return [
    lax.slice(
      padded,
      (0, i, j, 0),
      (batch, i + (out_h - 1) * stride + 1, j + (out_w - 1) * stride + 1, channels),
      (1, stride, stride, 1),
    )
    for i in range(size)
    for j in range(size)
  ]


def _product(images: Array, kernel: Array, stride: int) -> Array:
  size = kernel.shape[0]
  columns = jnp.concatenate(_shifted(images, size, stride), axis=-1)
  return columns @ kernel.reshape(-1, kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _matmul_conv(images: Array, kernel: Array, stride: int) -> Array:
  return _product(images, kernel, stride)


def _matmul_conv_fwd(images, kernel, stride):
  # Keeps the images, not the k*k times larger columns.
  return _product(images, kernel, stride), (images, kernel)


def _matmul_conv_bwd(stride, saved, cotangent):
  images, kernel = saved
  _, pull_images = jax.vjp(lambda x: _product(x, kernel, stride), images)
  _, pull_kernel = jax.vjp(lambda k: _product(images, k, stride), kernel)
  return pull_images(cotangent) + pull_kernel(cotangent)


_matmul_conv.defvjp(_matmul_conv_fwd, _matmul_conv_bwd)


def _xla_conv(images: Array, kernel: Array, stride: int, groups: int) -> Array:
  pad = kernel.shape[0] // 2
  return lax.conv_general_dilated(
    images,
    kernel,
    (stride, stride),
    [(pad, pad), (pad, pad)],
    dimension_numbers=DIMENSIONS,
    feature_group_count=groups,
  )


def use_matmul() -> bool:
  """Whether convolutions become matrix products: on CPU only."""
  return jax.default_backend() == 'cpu'


def conv2d(images: Array, kernel: Array, stride: int = 1) -> Array:
  """Convolution with symmetric zero padding k // 2, as PyTorch pads.

  ("SAME" would pad stride-2 kernels on one side only and shift the result.)

  Args:
    images: [B, H, W, I].
    kernel: [k, k, I, O], k odd.
    stride: of both directions.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), O].
  """
  if kernel.shape[0] == 1:
    return images[:, ::stride, ::stride, :] @ kernel[0, 0]
  if use_matmul():
    return _matmul_conv(images, kernel, stride)
  return _xla_conv(images, kernel, stride, groups=1)


def depthwise_conv2d(images: Array, kernel: Array, stride: int = 1) -> Array:
  """One filter per channel, padded as in `conv2d`.

  Args:
    images: [B, H, W, C].
    kernel: [k, k, 1, C], k odd.
    stride: of both directions.
  """
  if not use_matmul():
    return _xla_conv(images, kernel, stride, groups=images.shape[-1])
  taps = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1])
  views = _shifted(images, kernel.shape[0], stride)
  return functools.reduce(jnp.add, [view * tap for view, tap in zip(views, taps)])
