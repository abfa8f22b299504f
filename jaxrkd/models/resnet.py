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


class Projection(nnx.Module):
  """The shortcut where shapes change; children are named '0' and '1' as in PyTorch."""

  FOLDS = (('0', '1'),)

  def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int):
    setattr(self, '0', layers.conv(inputs, outputs, 1, stride))
    setattr(self, '1', layers.bn(outputs))

  def __call__(self, x: jax.Array) -> jax.Array:
    return getattr(self, '1')(getattr(self, '0')(x))


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


class BasicBlock(nnx.Module):
  """Two 3x3 convolutions and a shortcut, which goes by the name `shortcut`."""

  FOLDS = (('conv1', 'bn1'), ('conv2', 'bn2'))

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    stride: int,
    shortcut: str,
    change: Callable[..., nnx.Module] = Projection,
    activation: str = 'relu',
  ):
    self.conv1 = layers.conv(inputs, outputs, 3, stride)
    self.bn1 = layers.bn(outputs)
    self.conv2 = layers.conv(outputs, outputs, 3)
    self.bn2 = layers.bn(outputs)
    self.activation = activation
    self.shortcut_name = shortcut
    self.changes = stride != 1 or inputs != outputs
    if self.changes:
      setattr(self, shortcut, change(layers, inputs, outputs, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    y = act(self.bn1(self.conv1(x)))
    y = self.bn2(self.conv2(y))
    if self.changes:
      x = getattr(self, self.shortcut_name)(x)
    return act(y + x)


class Bottleneck(nnx.Module):
  """1x1, 3x3 and 1x1 convolutions, four times as wide at the end; else as `BasicBlock`.

  The 3x3 convolution has the stride, as torchvision and kuangliu have it.
  """

  FOLDS = (('conv1', 'bn1'), ('conv2', 'bn2'), ('conv3', 'bn3'))
  WIDER = 4

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    stride: int,
    shortcut: str,
    change: Callable[..., nnx.Module] = Projection,
    activation: str = 'relu',
  ):
    inner = outputs // self.WIDER
    self.conv1 = layers.conv(inputs, inner, 1)
    self.bn1 = layers.bn(inner)
    self.conv2 = layers.conv(inner, inner, 3, stride)
    self.bn2 = layers.bn(inner)
    self.conv3 = layers.conv(inner, outputs, 1)
    self.bn3 = layers.bn(outputs)
    self.activation = activation
    self.shortcut_name = shortcut
    self.changes = stride != 1 or inputs != outputs
    if self.changes:
      setattr(self, shortcut, change(layers, inputs, outputs, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    y = act(self.bn1(self.conv1(x)))
    y = act(self.bn2(self.conv2(y)))
    y = self.bn3(self.conv3(y))
    if self.changes:
      x = getattr(self, self.shortcut_name)(x)
    return act(y + x)


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
    bottleneck: blocks are `Bottleneck`s, four times as wide as `widths` say.
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
    change: Callable[..., nnx.Module] = Projection,
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
    kind: Any = Bottleneck if bottleneck else BasicBlock
    block = functools.partial(
      kind, layers, shortcut=shortcut, change=change, activation=activation
    )
    self.stages = tuple(f'layer{k + 1}' for k in range(len(blocks)))
    wide = [width * (Bottleneck.WIDER if bottleneck else 1) for width in widths]
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
    Projection,
    activation,
  )
