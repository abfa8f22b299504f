"""PreActResNet-18 for 32x32 images (He et al., 2016, arXiv:1603.05027).

The variant of kuangliu/pytorch-cifar with a BatchNorm before the last layer, as adversarial
training uses it. Attribute names are those of the PyTorch files.
"""

from collections.abc import Sequence

import jax
from flax import nnx

from jaxrkd.errors import one_of
from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average, through

READS = ('activated', 'raw')


class Reshape(nnx.Module):
  """The shortcut where shapes change: one 1x1 convolution, named '0' as in PyTorch."""

  def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int):
    setattr(self, '0', layers.conv(inputs, outputs, 1, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    return getattr(self, '0')(x)


class PreActBlock(nnx.Module):
  """BatchNorm, activation and convolution twice, plus the shortcut."""

  FOLDS = (('conv1', 'bn2'),)

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    stride: int,
    activation: str,
    shortcut_reads: str,
  ):
    self.activation, self.shortcut_reads = activation, shortcut_reads
    self.bn1 = layers.bn(inputs)
    self.conv1 = layers.conv(inputs, outputs, 3, stride)
    self.bn2 = layers.bn(outputs)
    self.conv2 = layers.conv(outputs, outputs, 3)
    self.changes = stride != 1 or inputs != outputs
    if self.changes:
      self.shortcut = Reshape(layers, inputs, outputs, stride)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    activated = act(self.bn1(x))
    y = self.conv2(act(self.bn2(self.conv1(activated))))
    if self.changes:
      x = self.shortcut(activated if self.shortcut_reads == 'activated' else x)
    return y + x


class PreActResNet(nnx.Module):
  """11,172,170 parameters for 10 classes.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    blocks: blocks in each of four stages; every stage but the first halves the image.
    width: channels of the first stage.
    activation: a row of `ACTIVATIONS`.
    final_bn: BatchNorm and activation before the average; without them as kuangliu has it.
    shortcut_reads: what projections act on: the 'activated' input of the block, as
      kuangliu has it, or the 'raw' one.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    blocks: Sequence[int] = (2, 2, 2, 2),
    width: int = 64,
    activation: str = 'relu',
    final_bn: bool = True,
    shortcut_reads: str = 'activated',
  ):
    activation_of(activation)
    one_of(shortcut_reads, READS, 'shortcut_reads')
    self.activation, self.remat = activation, layers.remat
    self.conv1 = layers.conv(channels, width, 3)
    inputs = width
    self.stages = tuple(f'layer{k + 1}' for k in range(len(blocks)))
    for k, (name, count) in enumerate(zip(self.stages, blocks)):
      stage, outputs = [], width * 2**k
      for i in range(count):
        stride = 2 if k > 0 and i == 0 else 1
        stage.append(
          PreActBlock(layers, inputs, outputs, stride, activation, shortcut_reads)
        )
        inputs = outputs
      setattr(self, name, nnx.List(stage))
    self.final_bn = final_bn
    if final_bn:
      self.bn = layers.bn(inputs)
    self.linear = layers.linear(inputs, classes)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.conv1(x)
    for name in self.stages:
      x = through(getattr(self, name), x, self.remat)
    if self.final_bn:
      x = activation_of(self.activation)(self.bn(x))
    return self.linear(global_average(x))
