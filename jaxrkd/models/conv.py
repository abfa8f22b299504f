"""Two-dimensional convolutions that are fast on every backend.

On CPU, gradients of XLA's convolutions are up to fifteen times slower inside a loop than
outside, and a loop is where every attack lives; XLA's convolutions themselves are not. There
3x3 kernels bring their own gradient: that of a stride-1 convolution is another one, with the
kernel turned round; the others are matrix products of shifted slices. Wide stride-1 kernels
become Winograd's transforms. GPUs and TPUs get XLA's own convolution and gradient.
`benchmarks/convolution.py` measures all of them.
"""

import contextlib
import contextvars
import functools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import lax

from jaxrkd.models.winograd import winograd_conv

Array = jax.Array
# Multiplications per image from which Winograd's transforms pay for the time that they
# take to compile: reached by every stage of ResNet-18, by none of ResNet-56.
MIN_WINOGRAD_WORK = 2**20
# Input channels from which the gradient is faster as a convolution than as slices.
MIN_CONV_CHANNELS = 16
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


# Zeros (above, below), (left, right).
Pads = tuple[tuple[int, int], tuple[int, int]]
PADDINGS = ('symmetric', 'same')


def zeros_around(shape: tuple[int, ...], size: int, stride: int, padding: str) -> Pads:
  """How many zeros go around images [B, H, W, C]; see `conv2d`."""
  if padding == 'symmetric':
    return ((size // 2,) * 2,) * 2

  def same(length: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2

  return same(shape[1]), same(shape[2])


def shifted(images: Array, size: int, stride: int, pads: Pads) -> list[Array]:
  """The k*k views of zero-padded images that a k x k kernel multiplies, row by row."""
  batch, height, width, channels = images.shape
  out_h, out_w = -(-height // stride), -(-width // stride)
  padded = jnp.pad(images, ((0, 0), *pads, (0, 0)))
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


def _product(images: Array, kernel: Array, stride: int, pads: Pads) -> Array:
  columns = jnp.concatenate(shifted(images, kernel.shape[0], stride, pads), axis=-1)
  return columns @ kernel.reshape(-1, kernel.shape[-1])


def xla_conv(
  images: Array, kernel: Array, stride: int, pads: Pads, groups: int = 1
) -> Array:
  """XLA's own convolution, and so its gradients."""
  return lax.conv_general_dilated(
    images,
    kernel,
    (stride, stride),
    pads,
    dimension_numbers=DIMENSIONS,
    feature_group_count=groups,
  )


@functools.partial(jax.jit, static_argnums=(2, 3))
def fast_in_loop(images: Array, kernel: Array, stride: int, pads: Pads) -> Array:
  """A convolution that is no gradient of one; `attacks.loop` knows it by its name."""
  return xla_conv(images, kernel, stride, pads)


def _forward(images: Array, kernel: Array, stride: int, pads: Pads) -> Array:
  # XLA has a fast program for float32 only.
  if images.dtype != jnp.float32:
    return _product(images, kernel, stride, pads)
  return fast_in_loop(images, kernel, stride, pads)


def _kernel_gradient(
  images: Array, kernel: Array, cotangent: Array, stride: int, pads: Pads
) -> Array:
  """A product per entry of the kernel: faster than XLA's convolution, most of all in loops."""
  flat = cotangent.reshape(-1, cotangent.shape[-1])
  views = shifted(images, kernel.shape[0], stride, pads)
  taps = [view.reshape(-1, view.shape[-1]).T @ flat for view in views]
  return jnp.stack(taps).reshape(kernel.shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _cpu_conv(images: Array, kernel: Array, stride: int, pads: Pads) -> Array:
  return _forward(images, kernel, stride, pads)


def _cpu_conv_fwd(images, kernel, stride, pads):
  return _forward(images, kernel, stride, pads), (images, kernel)


def _cpu_conv_bwd(stride, pads, saved, cotangent):
  images, kernel = saved
  single = images.dtype == jnp.float32
  # At stride 1 both paddings are symmetric.
  if single and stride == 1 and images.shape[-1] >= MIN_CONV_CHANNELS:
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    to_images = fast_in_loop(cotangent, turned, 1, pads)
  else:
    _, pull = jax.vjp(lambda x: _product(x, kernel, stride, pads), images)
    (to_images,) = pull(cotangent)
  return to_images, _kernel_gradient(images, kernel, cotangent, stride, pads)


_cpu_conv.defvjp(_cpu_conv_fwd, _cpu_conv_bwd)


_plain: contextvars.ContextVar[bool] = contextvars.ContextVar('plain', default=False)


@contextlib.contextmanager
def plain_convolutions() -> Iterator[None]:
  """Within this scope convolutions are traced as XLA's own on every device.

  For programs that leave the machine: exports, whose run time has fast ones of its own.
  """
  token = _plain.set(True)
  try:
    yield
  finally:
    _plain.reset(token)


def on_cpu() -> bool:
  """Whether convolutions need a gradient of their own."""
  return jax.default_backend() == 'cpu' and not _plain.get()


def conv2d(
  images: Array, kernel: Array, stride: int = 1, padding: str = 'symmetric'
) -> Array:
  """Convolution with zero padding.

  Args:
    images: [B, H, W, I].
    kernel: [k, k, I, O], k odd.
    stride: of both directions.
    padding: 'symmetric' pads k // 2 on every side, as PyTorch's networks do; 'same' as
      TensorFlow and Haiku do, which at stride 2 and even sizes pads below and on the
      right only and so shifts the result by a pixel.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), O].
  """
  pads = zeros_around(images.shape, kernel.shape[0], stride, padding)
  if not on_cpu():
    return xla_conv(images, kernel, stride, pads)
  if kernel.shape[0] == 1:
    # As matrices: the kernel's gradient over three axes at once takes up to six times as long.
    seen = images[:, ::stride, ::stride]
    rows = seen.reshape(-1, seen.shape[-1]) @ kernel[0, 0]
    return rows.reshape(*seen.shape[:3], kernel.shape[-1])
  work = math.prod(images.shape[1:]) * kernel.shape[-1]
  narrow = min(kernel.shape[2:]) < 16  # the stem: little to multiply, much to transform
  if kernel.shape[0] == 3 and stride == 1 and work >= MIN_WINOGRAD_WORK and not narrow:
    return winograd_conv(images, kernel)
  return _cpu_conv(images, kernel, stride, pads)
