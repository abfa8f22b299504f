"""WideResNet in the layout of the TRADES repository (WRN-34-10 and relatives).

Zagoruyko & Komodakis, 2016, arXiv:1605.07146. Pre-activation blocks whose projection
shortcut acts on the activated input; symmetric padding; no input normalisation. The
unused `sub_block1` of the released files is not built. `dm_wide_resnet.py` has the other
layout, of the same blocks.
"""

import functools
from collections.abc import Callable

import jax
from flax import nnx

from jaxrkd.errors import InputError
from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import (
  Layers,
  global_average,
  kaiming_fan_out,
  make_stages,
  through,
)
from jaxrkd.models.preact_block import Names, PreActBlock

NAMES = Names(bns=('bn1', 'bn2'), convs=('conv1', 'conv2'), shortcut='convShortcut')


class Group(nnx.Module):
  """The blocks of one width, which go by the name `blocks` in the PyTorch file."""

  def __init__(self, layers: Layers, stage: nnx.List, blocks: str):
    self.remat, self.blocks_name = layers.remat, blocks
    setattr(self, blocks, stage)

  def __call__(self, x: jax.Array) -> jax.Array:
    return through(getattr(self, self.blocks_name), x, self.remat)


def make_groups(
  layers: Layers,
  depth: int,
  width: int,
  activation: str,
  names: Names,
  blocks: str,
  sparse: Callable[[int], nnx.Module] | None = None,
) -> list[Group]:
  """The three groups of a WRN-depth-width.

  Args:
    layers: maker of layers.
    depth: 6n + 4.
    width: multiple of the basic 16, 32, 64 channels.
    activation: a row of `ACTIVATIONS`.
    names: of the parts of a block.
    blocks: name of the list of blocks in a group.
    sparse: see `PreActBlock`.

  Raises:
    InputError: `depth` is not 6n + 4.
  """
  if depth < 10 or depth % 6 != 4:
    raise InputError(f'WideResNet depth is {depth}; it must be 6n + 4: 10, 16, ..., 70')
  block = functools.partial(
    PreActBlock, layers, activation=activation, names=names, sparse=sparse
  )
  widths = [16 * width, 32 * width, 64 * width]
  stages = make_stages(block, 16, ((depth - 4) // 6,) * 3, widths)
  return [Group(layers, stage, blocks) for stage in stages]


class WideResNet(nnx.Module):
  """WRN-depth-width; 46,160,474 parameters for 34-10 and 10 classes.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    depth: 6n + 4: 16, 22, 28, 34, 70.
    width: multiple of the basic 16, 32, 64 channels.
    activation: a row of `ACTIVATIONS`.

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
    activation: str = 'relu',
  ):
    self.activation = activation
    layers = layers.replace(conv_init=kaiming_fan_out)
    self.conv1 = layers.conv(channels, 16, 3)
    groups = make_groups(layers, depth, width, activation, NAMES, 'layer')
    self.block1, self.block2, self.block3 = groups
    self.bn1 = layers.bn(64 * width)
    self.fc = layers.linear(64 * width, classes, zero_bias=True)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    x = self.block3(self.block2(self.block1(self.conv1(x))))
    return self.fc(global_average(act(self.bn1(x))))
