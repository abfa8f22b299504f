"""MobileNetV2 for 32x32 images (Sandler et al., 2018, arXiv:1801.04381).

The CIFAR variant of the four papers: stride 1 in the stem and the second group, ReLU
instead of ReLU6, and a projection shortcut in stride-1 blocks whose channels change.
"""

from collections.abc import Iterator, Sequence

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average, through
from jaxrkd.models.resnet import projection

# (expansion, output channels, blocks) of each group.
GROUPS = (
  (1, 16, 1),
  (6, 24, 2),
  (6, 32, 3),
  (6, 64, 4),
  (6, 96, 3),
  (6, 160, 3),
  (6, 320, 1),
)
# Stride of the first block of each group.
STRIDES = (1, 1, 2, 2, 1, 2, 1)


def blocks_of(strides: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
  """(channels that enter, that leave, expansion, stride) of every block, after 32 channels.

  Args:
    strides: of the first block of each group.
  """
  inputs = 32
  for (expansion, outputs, count), stride in zip(GROUPS, strides):
    for i in range(count):
      yield inputs, outputs, expansion, 1 if i else stride
      inputs = outputs


class InvertedResidual(nnx.Module):
  """1x1 expansion, 3x3 depthwise, linear 1x1 projection."""

  FOLDS = (('conv1', 'bn1'), ('conv2', 'bn2'), ('conv3', 'bn3'))

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    expansion: int,
    stride: int,
    activation: str,
  ):
    self.activation = activation
    hidden = inputs * expansion
    self.conv1 = layers.conv(inputs, hidden, 1)
    self.bn1 = layers.bn(hidden)
    self.conv2 = layers.depthwise(hidden, 3, stride)
    self.bn2 = layers.bn(hidden)
    self.conv3 = layers.conv(hidden, outputs, 1)
    self.bn3 = layers.bn(outputs)
    self.residual = stride == 1
    self.projects = self.residual and inputs != outputs
    if self.projects:
      self.shortcut = projection(layers, inputs, outputs, 1)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    y = act(self.bn1(self.conv1(x)))
    y = act(self.bn2(self.conv2(y)))
    y = self.bn3(self.conv3(y))
    if not self.residual:
      return y
    return y + (self.shortcut(x) if self.projects else x)


class MobileNetV2(nnx.Module):
  """2,296,922 parameters for 10 classes.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    activation: a row of `ACTIVATIONS`.
  """

  FOLDS = (('conv1', 'bn1'), ('conv2', 'bn2'))

  def __init__(
    self, layers: Layers, classes: int, channels: int, activation: str = 'relu'
  ):
    activation_of(activation)
    self.activation, self.remat = activation, layers.remat
    self.conv1 = layers.conv(channels, 32, 3)
    self.bn1 = layers.bn(32)
    blocks = [
      InvertedResidual(layers, *sizes, activation) for sizes in blocks_of(STRIDES)
    ]
    self.layers = nnx.List(blocks)
    self.conv2 = layers.conv(GROUPS[-1][1], 1280, 1)
    self.bn2 = layers.bn(1280)
    self.linear = layers.linear(1280, classes)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    x = act(self.bn1(self.conv1(x)))
    x = through(self.layers, x, self.remat)
    x = act(self.bn2(self.conv2(x)))
    return self.linear(global_average(x))
