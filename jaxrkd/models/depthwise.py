"""Depthwise convolutions: one filter per channel.

On CPU, where XLA's own take up to 80 times as long as a sum of shifted images, they are that
sum, with gradients of their own.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxrkd.models import conv
from jaxrkd.models.branch import always
from jaxrkd.models.conv import Pads

Array = jax.Array


def depthwise_conv2d(images: Array, kernel: Array, stride: int = 1) -> Array:
  """Convolves every channel with its own filter; symmetric padding as in `conv.conv2d`.

  Args:
    images: [B, H, W, C].
    kernel: [k, k, 1, C], k odd.
    stride: of both directions.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), C].
  """
  pads = conv.zeros_around(images.shape, kernel.shape[0], stride, 'symmetric')
  if not conv.on_cpu():
    return conv.xla_conv(images, kernel, stride, pads, groups=images.shape[-1])
  return _cpu_depthwise(images, kernel, stride, pads)


def _gathered(images: Array, kernel: Array, stride: int, pads: Pads) -> Array:
  taps = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1])
  views = conv.shifted(images, kernel.shape[0], stride, pads)
  return functools.reduce(jnp.add, [view * tap for view, tap in zip(views, taps)])


def _scattered(
  images: Array, kernel: Array, stride: int, pads: Pads, shape: tuple[int, ...]
) -> Array:
  """The transpose of `_gathered`, from images of `shape`."""
  there = jax.ShapeDtypeStruct(shape, images.dtype)
  back = jax.linear_transpose(lambda x: _gathered(x, kernel, stride, pads), there)
  return back(images)[0]


def _apart(
  function: Callable[[Array, Array], Array], images: Array, kernel: Array
) -> Array:
  """function(images, kernel) in a branch, which is always taken.

  XLA fuses what made the images into each of the nine places that read them, where it would
  be computed nine times; it does not do so across a branch. (Its compiler for CPUs
  drops `lax.optimization_barrier` before it fuses.)
  """
  found = jax.eval_shape(function, images, kernel)
  never = lambda *_: jnp.zeros(found.shape, found.dtype)
  return lax.cond(always(lax.stop_gradient(kernel)), function, never, images, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _cpu_depthwise(images: Array, kernel: Array, stride: int, pads: Pads) -> Array:
  if stride == 1:
    # The same sum. XLA's loop over it is up to twice as fast.
    def filtered(images, kernel):
      return _scattered(images, kernel[::-1, ::-1], 1, pads, images.shape)
  else:

    def filtered(images, kernel):
      return _gathered(images, kernel, stride, pads)

  return _apart(filtered, images, kernel)


def _cpu_depthwise_fwd(images, kernel, stride, pads):
  return _cpu_depthwise(images, kernel, stride, pads), (images, kernel)


def _cpu_depthwise_bwd(stride, pads, saved, cotangent):
  images, kernel = saved

  def back(cotangent, kernel):
    return _scattered(cotangent, kernel, stride, pads, images.shape)

  to_images = _apart(back, cotangent, kernel)
  return to_images, _kernel_gradient(images, kernel, cotangent, stride, pads)


_cpu_depthwise.defvjp(_cpu_depthwise_fwd, _cpu_depthwise_bwd)


def _kernel_gradient(
  images: Array, kernel: Array, cotangent: Array, stride: int, pads: Pads
) -> Array:
  """Sums of shifted images times the cotangent, a row of pixels at a time.

  All k * k sums grow in one pass over both. As reductions of whole images they take up to
  seven times as long. Rows, because images may lie on several devices.
  """
  size, (batch, height, width, channels) = kernel.shape[0], cotangent.shape
  padded = jnp.pad(images, ((0, 0), *pads, (0, 0)))
  last = (width - 1) * stride + 1

  def add_row(row: Array, sums: list[Array]) -> list[Array]:
    above = lax.dynamic_slice_in_dim(padded, row * stride, size, axis=1)
    slope = lax.dynamic_index_in_dim(cotangent, row, axis=1, keepdims=False)
    views = [above[:, i, j : j + last : stride] for i in range(size) for j in range(size)]
    return [one + view * slope for one, view in zip(sums, views)]

  # Long sums: of bfloat16 images, too, in float32.
  exact = jnp.promote_types(images.dtype, jnp.float32)
  start = [jnp.zeros((batch, width, channels), exact)] * size**2
  sums = lax.fori_loop(0, height, add_row, start)
  found = jnp.stack([one.sum((0, 1)) for one in sums])
  return found.reshape(kernel.shape).astype(kernel.dtype)
