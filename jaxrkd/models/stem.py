"""Where a network begins: on small images with a 3x3 convolution, on large ones with more."""

import jax
from flax import nnx

from jaxrkd.errors import one_of
from jaxrkd.models.layers import Conv, Layers

# 'cifar': 3x3, stride 1. 'imagenet': 7x7, stride 2, and max pooling: a quarter of the
# length on either side, for images of 96 pixels and more.
STEMS = ('cifar', 'imagenet')


def is_large(stem: str) -> bool:
  """Whether a stem is for large images; raises `InputError` for one that is none."""
  return one_of(stem, STEMS, 'stem') == 'imagenet'


def stem_conv(layers: Layers, channels: int, width: int, stem: str) -> Conv:
  """The first convolution."""
  size, stride = (7, 2) if is_large(stem) else (3, 1)
  return layers.conv(channels, width, size, stride)


def max_pool(x: jax.Array) -> jax.Array:
  """The largest of each 3x3 window, every second one, as PyTorch pads them.

  Args:
    x: [B, H, W, C].

  Returns:
    [B, ceil(H / 2), ceil(W / 2), C].
  """
  return nnx.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
