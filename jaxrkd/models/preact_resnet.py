"""PreActResNet-18 for small and large images (He et al., 2016, arXiv:1603.05027).

The variant of kuangliu/pytorch-cifar with a BatchNorm before the last layer, as adversarial
training uses it. Attribute names are those of the PyTorch files.
"""

import functools
from collections.abc import Sequence

import jax
from flax import nnx

from jaxrkd.errors import one_of
from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average, make_stages, through
from jaxrkd.models.preact_block import Names, PreActBlock
from jaxrkd.models.stem import is_large, max_pool, stem_conv

READS = ('activated', 'raw')
NAMES = Names(bns=('bn1', 'bn2'), convs=('conv1', 'conv2'), shortcut='shortcut')


class Reshape(nnx.Module):
  """The shortcut where shapes change: one 1x1 convolution, named '0' as in PyTorch."""

  def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int):
    setattr(self, '0', layers.conv(inputs, outputs, 1, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    return getattr(self, '0')(x)


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
    stem: 'cifar', or 'imagenet' for images of 96 pixels and more (`stem.STEMS`).
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
    stem: str = 'cifar',
  ):
    one_of(shortcut_reads, READS, 'shortcut_reads')
    self.activation, self.remat, self.final_bn = activation, layers.remat, final_bn
    block = functools.partial(
      PreActBlock,
      layers,
      activation=activation,
      names=NAMES,
      project=Reshape,
      reads_activated=shortcut_reads == 'activated',
    )
    widths = [width * 2**k for k in range(len(blocks))]
    self.pools = is_large(stem)
    self.conv1 = stem_conv(layers, channels, width, stem)
    self.stages = tuple(f'layer{k + 1}' for k in range(len(blocks)))
    for name, stage in zip(self.stages, make_stages(block, width, blocks, widths)):
      setattr(self, name, stage)
    if final_bn:
      self.bn = layers.bn(widths[-1])
    self.linear = layers.linear(widths[-1], classes)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.conv1(x)
    if self.pools:
      x = max_pool(x)
    for name in self.stages:
      x = through(getattr(self, name), x, self.remat)
    if self.final_bn:
      x = activation_of(self.activation)(self.bn(x))
    return self.linear(global_average(x))
