"""ResNets for 32x32 images: ResNet-18 and ResNet-6n+2.

He et al., 2016, arXiv:1512.03385, in the variants the four papers use: projection
shortcuts (1x1 convolution and BatchNorm) wherever the shape changes. Attribute names
are those of the PyTorch files.
"""

from collections.abc import Sequence

import jax
from flax import nnx

from jaxrkd.errors import InputError
from jaxrkd.models.layers import Layers, global_average, kaiming_fan_out


class Projection(nnx.Module):
  """The shortcut where shapes change; children are named '0' and '1' as in PyTorch."""

  def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int):
    setattr(self, '0', layers.conv(inputs, outputs, 1, stride))
    setattr(self, '1', layers.bn(outputs))

  def __call__(self, x: jax.Array) -> jax.Array:
    return getattr(self, '1')(getattr(self, '0')(x))


class BasicBlock(nnx.Module):
  """Two 3x3 convolutions and a shortcut, which goes by the name `shortcut`."""

  def __init__(
    self, layers: Layers, inputs: int, outputs: int, stride: int, shortcut: str
  ):
    self.conv1 = layers.conv(inputs, outputs, 3, stride)
    self.bn1 = layers.bn(outputs)
    self.conv2 = layers.conv(outputs, outputs, 3)
    self.bn2 = layers.bn(outputs)
    self.shortcut_name = shortcut
    projects = stride != 1 or inputs != outputs
    self.projects = projects
    if projects:
      setattr(self, shortcut, Projection(layers, inputs, outputs, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    y = jax.nn.relu(self.bn1(self.conv1(x)))
    y = self.bn2(self.conv2(y))
    if self.projects:
      x = getattr(self, self.shortcut_name)(x)
    return jax.nn.relu(y + x)


class ResNet(nnx.Module):
  """Stem, stages of basic blocks, global average, linear head.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    blocks: blocks in each stage; every stage but the first halves the image.
    widths: channels of each stage; the stem has the first.
    shortcut: name of the projections in the PyTorch file.
    head: name of the last layer in the PyTorch file.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    blocks: Sequence[int],
    widths: Sequence[int],
    shortcut: str,
    head: str,
  ):
    self.conv1 = layers.conv(channels, widths[0], 3)
    self.bn1 = layers.bn(widths[0])
    inputs = widths[0]
    self.stages = tuple(f'layer{k + 1}' for k in range(len(blocks)))
    for k, (name, count, width) in enumerate(zip(self.stages, blocks, widths)):
      stage = []
      for i in range(count):
        stride = 2 if k > 0 and i == 0 else 1
        stage.append(BasicBlock(layers, inputs, width, stride, shortcut))
        inputs = width
      setattr(self, name, nnx.List(stage))
    self.head_name = head
    setattr(self, head, layers.linear(inputs, classes))

  def __call__(self, x: jax.Array) -> jax.Array:
    x = jax.nn.relu(self.bn1(self.conv1(x)))
    for name in self.stages:
      for block in getattr(self, name):
        x = block(x)
    return getattr(self, self.head_name)(global_average(x))


def resnet18(layers: Layers, classes: int, channels: int, width: int = 64) -> ResNet:
  """ResNet-18 with a 3x3 stem and no pooling: 11,173,962 parameters for 10 classes."""
  widths = [width * 2**k for k in range(4)]
  return ResNet(layers, classes, channels, (2, 2, 2, 2), widths, 'shortcut', 'linear')


def cifar_resnet(
  layers: Layers, classes: int, channels: int, depth: int = 56, width: int = 16
) -> ResNet:
  """ResNet-6n+2 (ResNet-20, 32, 44, 56): 855,770 parameters at depth 56, 10 classes.

  Raises:
    InputError: `depth` is not 6n + 2.
  """
  if depth < 8 or depth % 6 != 2:
    raise InputError(
      f'ResNet depth is {depth}; it must be 6n + 2: 8, 14, 20, 32, 56, ...'
    )
  layers = layers.with_init(kaiming_fan_out)
  blocks = ((depth - 2) // 6,) * 3
  widths = [width * 2**k for k in range(3)]
  return ResNet(layers, classes, channels, blocks, widths, 'downsample', 'fc')
