"""WideResNet in the layout of the TRADES repository (WRN-34-10 and relatives).

Zagoruyko & Komodakis, 2016, arXiv:1605.07146. Pre-activation blocks whose projection
shortcut acts on the activated input; symmetric padding; no input normalisation. The
unused `sub_block1` of the released files is not built.
"""

import jax
from flax import nnx

from jaxrkd.errors import InputError
from jaxrkd.models.layers import Layers, global_average, kaiming_fan_out


class WideBlock(nnx.Module):
  """BatchNorm, ReLU and convolution twice, plus the shortcut."""

  def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int):
    self.bn1 = layers.bn(inputs)
    self.conv1 = layers.conv(inputs, outputs, 3, stride)
    self.bn2 = layers.bn(outputs)
    self.conv2 = layers.conv(outputs, outputs, 3)
    self.projects = inputs != outputs
    if self.projects:
      self.convShortcut = layers.conv(inputs, outputs, 1, stride)

  def __call__(self, x: jax.Array) -> jax.Array:
    activated = jax.nn.relu(self.bn1(x))
    y = self.conv2(jax.nn.relu(self.bn2(self.conv1(activated))))
    return y + (self.convShortcut(activated) if self.projects else x)


class Group(nnx.Module):
  """Blocks of one width; only the first has a stride."""

  def __init__(self, layers: Layers, inputs: int, outputs: int, count: int, stride: int):
    self.layer = nnx.List(
      [
        WideBlock(layers, outputs if i else inputs, outputs, 1 if i else stride)
        for i in range(count)
      ]
    )

  def __call__(self, x: jax.Array) -> jax.Array:
    for block in self.layer:
      x = block(x)
    return x


class WideResNet(nnx.Module):
  """WRN-depth-width; 46,160,474 parameters for 34-10 and 10 classes.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    depth: 6n + 4: 16, 22, 28, 34, 70.
    width: multiple of the basic 16, 32, 64 channels.

  Raises:
    InputError: `depth` is not 6n + 4.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    depth: int = 34,
    width: int = 10,
  ):
    if depth < 10 or depth % 6 != 4:
      raise InputError(f'WideResNet depth is {depth}; it must be 6n + 4: 10, 16, ..., 70')
    layers = layers.with_init(kaiming_fan_out)
    count = (depth - 4) // 6
    self.conv1 = layers.conv(channels, 16, 3)
    self.block1 = Group(layers, 16, 16 * width, count, 1)
    self.block2 = Group(layers, 16 * width, 32 * width, count, 2)
    self.block3 = Group(layers, 32 * width, 64 * width, count, 2)
    self.bn1 = layers.bn(64 * width)
    self.fc = layers.linear(64 * width, classes, zero_bias=True)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.block3(self.block2(self.block1(self.conv1(x))))
    return self.fc(global_average(jax.nn.relu(self.bn1(x))))
