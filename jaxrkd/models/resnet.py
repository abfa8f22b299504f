"""ResNets: ResNet-18, -34 and -50 for small and for large images, and ResNet-6n+2.

He et al., 2016, arXiv:1512.03385. In the variants the four papers use the shortcut is a
1x1 convolution and BatchNorm wherever the shape changes; the most used public ResNet-20 to
56 have the parameter-free one of the original paper ("option A"). Attribute names are
those of the PyTorch files.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.errors import InputError, one_of
from jaxrkd.models.activations import activation_of
from jaxrkd.models.conv_bn import ConvBN
from jaxrkd.models.layers import (
  Layers,
  global_average,
  kaiming_fan_in,
  kaiming_fan_out,
  make_stages,
  through,
  torch_default,
)
from jaxrkd.models.stem import is_large, max_pool, stem_conv

SHORTCUTS = ('projection', 'padding')


def projection(layers: Layers, inputs: int, outputs: int, stride: int) -> ConvBN:
  """The shortcut where shapes change: a 1x1 convolution and BatchNorm."""
  return ConvBN(layers, inputs, outputs, 1, stride)


class Padding(nnx.Module):
  """Option A: every second pixel, and zero channels on both sides; no parameters."""

  def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int):
    del layers
    self.stride = stride
    # As published: a quarter of the new width in front, whatever is missing behind.
    self.front = outputs // 4 if outputs > inputs else 0
    self.back = outputs - inputs - self.front

  def __call__(self, x: jax.Array) -> jax.Array:
    x = x[:, :: self.stride, :: self.stride, :]
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (self.front, self.back)))


class Block(nnx.Module):
  """Convolutions with BatchNorm, and a shortcut, which goes by the name `shortcut`.

  Args:
    layers: maker of layers.
    inputs: channels that enter.
    convs: (channels that leave, size of the kernel, stride) of each convolution.
    shortcut: name of the projection in the PyTorch file.
    change: the shortcut where shapes change.
    activation: a row of `ACTIVATIONS`.
  """

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    convs: Sequence[tuple[int, int, int]],
    shortcut: str,
    change: Callable[..., nnx.Module],
    activation: str,
  ):
    width, whole = inputs, 1
    for k, (outputs, size, stride) in enumerate(convs, 1):
      setattr(self, f'conv{k}', layers.conv(width, outputs, size, stride))
      setattr(self, f'bn{k}', layers.bn(outputs))
      width, whole = outputs, whole * stride
    self.FOLDS = tuple((f'conv{k}', f'bn{k}') for k in range(1, len(convs) + 1))
    self.activation = activation
    self.shortcut_name = shortcut
    self.changes = whole != 1 or inputs != width
    if self.changes:
      setattr(self, shortcut, change(layers, inputs, width, whole))

  def __call__(self, x: jax.Array) -> jax.Array:
    act, y = activation_of(self.activation), x
    for k, (conv, bn) in enumerate(self.FOLDS):
      y = getattr(self, bn)(getattr(self, conv)(act(y) if k else y))
    if self.changes:
      x = getattr(self, self.shortcut_name)(x)
    return act(y + x)


# How much wider than its 3x3 convolution a bottleneck is at its ends.
WIDER = 4


def basic_block(
  layers: Layers, inputs: int, outputs: int, stride: int, **same: Any
) -> Block:
  """Two 3x3 convolutions."""
  return Block(layers, inputs, ((outputs, 3, stride), (outputs, 3, 1)), **same)


def bottleneck_block(
  layers: Layers, inputs: int, outputs: int, stride: int, **same: Any
) -> Block:
  """1x1, 3x3 and 1x1 convolutions; the middle one has the stride, as in torchvision."""
  inner = outputs // WIDER
  convs = ((inner, 1, 1), (inner, 3, stride), (outputs, 1, 1))
  return Block(layers, inputs, convs, **same)


class ResNet(nnx.Module):
  """Stem, stages of blocks, global average, linear head.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    blocks: blocks in each stage; every stage but the first halves the image.
    widths: channels of each stage; the stem has the first.
    shortcut: name of the projections in the PyTorch file.
    head: name of the last layer in the PyTorch file.
    change: the shortcut where shapes change.
    activation: a row of `ACTIVATIONS`.
    head_init: initial kernel of the last layer.
    bottleneck: blocks are those of `bottleneck_block`, four times as wide as `widths` say.
    stem: one of `STEMS`.
  """

  FOLDS = (('conv1', 'bn1'),)

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    blocks: Sequence[int],
    widths: Sequence[int],
    shortcut: str,
    head: str,
    change: Callable[..., nnx.Module] = projection,
    activation: str = 'relu',
    head_init: Callable[..., jax.Array] = torch_default,
    bottleneck: bool = False,
    stem: str = 'cifar',
  ):
    activation_of(activation)
    self.activation, self.remat = activation, layers.remat
    self.pools = is_large(stem)
    self.conv1 = stem_conv(layers, channels, widths[0], stem)
    self.bn1 = layers.bn(widths[0])
    kind = bottleneck_block if bottleneck else basic_block
    block = functools.partial(
      kind, layers, shortcut=shortcut, change=change, activation=activation
    )
    self.stages = tuple(f'layer{k + 1}' for k in range(len(blocks)))
    wide = [width * (WIDER if bottleneck else 1) for width in widths]
    for name, stage in zip(self.stages, make_stages(block, widths[0], blocks, wide)):
      setattr(self, name, stage)
    self.head_name = head
    setattr(self, head, layers.linear(wide[-1], classes, init=head_init))

  def __call__(self, x: jax.Array) -> jax.Array:
    x = activation_of(self.activation)(self.bn1(self.conv1(x)))
    if self.pools:
      x = max_pool(x)
    for name in self.stages:
      x = through(getattr(self, name), x, self.remat)
    return getattr(self, self.head_name)(global_average(x))


def resnet(
  layers: Layers,
  classes: int,
  channels: int,
  blocks: Sequence[int] = (2, 2, 2, 2),
  width: int = 64,
  activation: str = 'relu',
  bottleneck: bool = False,
) -> ResNet:
  """ResNet with a 3x3 stem and no pooling: ResNet-18, or 34 and 50 with blocks 3, 4, 6, 3.

  11,173,962, 21,282,122 and 23,520,842 parameters for 10 classes.

  Args:
    layers: makes the layers.
    classes: number of logits.
    channels: of the images.
    blocks: residual blocks in each of the four stages.
    width: channels of the first stage; each later one has twice as many.
    activation: 'relu' or another name of `activation`.
    bottleneck: blocks of three convolutions, as in ResNet-50.
  """
  widths = [width * 2**k for k in range(4)]
  return ResNet(
    layers,
    classes,
    channels,
    blocks,
    widths,
    'shortcut',
    'linear',
    activation=activation,
    bottleneck=bottleneck,
  )


def imagenet_resnet(
  layers: Layers,
  classes: int,
  channels: int,
  blocks: Sequence[int] = (2, 2, 2, 2),
  width: int = 64,
  activation: str = 'relu',
  bottleneck: bool = False,
) -> ResNet:
  """ResNet for images of 96 pixels and more: a 7x7 stem of stride 2, and max pooling.

  Named as in torchvision's files: 11,689,512 parameters (ResNet-18), 21,797,672 (34) and
  25,557,032 (50) for 1,000 classes. Arguments as `resnet`.
  """
  return ResNet(
    layers.replace(conv_init=kaiming_fan_out),
    classes,
    channels,
    blocks,
    [width * 2**k for k in range(4)],
    'downsample',
    'fc',
    activation=activation,
    bottleneck=bottleneck,
    stem='imagenet',
  )


def cifar_resnet(
  layers: Layers,
  classes: int,
  channels: int,
  depth: int = 56,
  width: int = 16,
  shortcut: str = 'projection',
  activation: str = 'relu',
) -> ResNet:
  """ResNet-6n+2 (ResNet-20, 32, 44, 56): 855,770 parameters at depth 56, 10 classes.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    depth: 6n + 2.
    width: channels of the first stage.
    shortcut: 'projection', named as in MTARD's clean teacher; or 'padding' (option A),
      named as in the files of akamaster/pytorch_resnet_cifar10: 853,018 parameters.
    activation: a row of `ACTIVATIONS`.

  Raises:
    InputError: `depth` is not 6n + 2.
  """
  if depth < 8 or depth % 6 != 2:
    raise InputError(
      f'ResNet depth is {depth}; it must be 6n + 2: 8, 14, 20, 32, 56, ...'
    )
  one_of(shortcut, SHORTCUTS, 'shortcut')
  blocks = ((depth - 2) // 6,) * 3
  widths = [width * 2**k for k in range(3)]
  if shortcut == 'padding':
    return ResNet(
      layers.replace(conv_init=kaiming_fan_in),
      classes,
      channels,
      blocks,
      widths,
      'shortcut',
      'linear',
      Padding,
      activation,
      kaiming_fan_in,
    )
  return ResNet(
    layers.replace(conv_init=kaiming_fan_out),
    classes,
    channels,
    blocks,
    widths,
    'downsample',
    'fc',
    projection,
    activation,
  )
