"""WideResNet in the layout of the TRADES repository (WRN-34-10 and relatives).

Zagoruyko & Komodakis, 2016, arXiv:1605.07146. Pre-activation blocks whose projection
shortcut acts on the activated input; symmetric padding; no input normalisation. The
unused `sub_block1` of the released files is not built. `dm_wide_resnet.py` has the other
layout, of the same blocks.
"""

from typing import NamedTuple

import jax
from flax import nnx

from jaxrkd.errors import InputError
from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average, kaiming_fan_out, through


class Names(NamedTuple):
  """What the PyTorch file calls the parts of a block, and the list of blocks in a group."""

  bns: tuple[str, str] = ('bn1', 'bn2')
  convs: tuple[str, str] = ('conv1', 'conv2')
  shortcut: str = 'convShortcut'
  blocks: str = 'layer'


class WideBlock(nnx.Module):
  """BatchNorm, activation and convolution twice, plus the shortcut."""

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    stride: int,
    activation: str,
    names: Names,
  ):
    self.names, self.activation = names, activation
    self.FOLDS = ((names.convs[0], names.bns[1]),)
    setattr(self, names.bns[0], layers.bn(inputs))
    setattr(self, names.convs[0], layers.conv(inputs, outputs, 3, stride))
    setattr(self, names.bns[1], layers.bn(outputs))
    setattr(self, names.convs[1], layers.conv(outputs, outputs, 3))
    self.projects = inputs != outputs
    if self.projects:
      setattr(self, names.shortcut, layers.conv(inputs, outputs, 1, stride))

  def __call__(self, x: jax.Array) -> jax.Array:
    act, names = activation_of(self.activation), self.names
    bns, convs = ([getattr(self, n) for n in pair] for pair in names[:2])
    activated = act(bns[0](x))
    y = convs[1](act(bns[1](convs[0](activated))))
    return y + (getattr(self, names.shortcut)(activated) if self.projects else x)


class Group(nnx.Module):
  """Blocks of one width; only the first has a stride."""

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    count: int,
    stride: int,
    activation: str,
    names: Names,
  ):
    self.remat, self.blocks_name = layers.remat, names.blocks
    first = WideBlock(layers, inputs, outputs, stride, activation, names)
    others = [
      WideBlock(layers, outputs, outputs, 1, activation, names) for _ in range(count - 1)
    ]
    setattr(self, names.blocks, nnx.List([first, *others]))

  def __call__(self, x: jax.Array) -> jax.Array:
    return through(getattr(self, self.blocks_name), x, self.remat)


def make_groups(
  layers: Layers, depth: int, width: int, activation: str, names: Names
) -> list[Group]:
  """The three groups of a WRN-depth-width.

  Raises:
    InputError: `depth` is not 6n + 4.
  """
  if depth < 10 or depth % 6 != 4:
    raise InputError(f'WideResNet depth is {depth}; it must be 6n + 4: 10, 16, ..., 70')
  count = (depth - 4) // 6
  sizes = [16, 16 * width, 32 * width, 64 * width]
  return [
    Group(layers, inputs, outputs, count, stride, activation, names)
    for inputs, outputs, stride in zip(sizes[:-1], sizes[1:], (1, 2, 2))
  ]


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
    groups = make_groups(layers, depth, width, activation, Names())
    self.block1, self.block2, self.block3 = groups
    self.bn1 = layers.bn(64 * width)
    self.fc = layers.linear(64 * width, classes, zero_bias=True)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    x = self.block3(self.block2(self.block1(self.conv1(x))))
    return self.fc(global_average(act(self.bn1(x))))
