"""PreActResNet-18 in DeepMind's layout (the "ResNet-18" of Rebuffi, Rade and Gowal, 2021).

arXiv:2103.01946. It differs from `preact_resnet.py` in more than names: "SAME" padding, and
3x3 projections, which act on what enters a block; 12,548,426 parameters for 10 classes.
"""

import functools
from collections.abc import Sequence

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import (
  Layers,
  global_average,
  haiku_default,
  make_stages,
  through,
)
from jaxrkd.models.preact_block import Names, PreActBlock

ZEROS = jax.nn.initializers.zeros
NAMES = Names(
  bns=('batchnorm_0', 'batchnorm_1'),
  convs=('conv_2d_1', 'conv_2d_2'),
  shortcut='shortcut',
)


def project_3x3(layers: Layers, inputs: int, outputs: int, stride: int) -> nnx.Module:
  """A 3x3 convolution."""
  return layers.conv(inputs, outputs, 3, stride)


class DMPreActResNet(nnx.Module):
  """See above.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    blocks: blocks in each of four stages; every stage but the first halves the image.
    width: channels of the first stage.
    activation: a row of `ACTIVATIONS`.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    blocks: Sequence[int] = (2, 2, 2, 2),
    width: int = 64,
    activation: str = 'swish',
  ):
    self.activation, self.remat = activation, layers.remat
    layers = layers.replace(conv_init=haiku_default, padding='same')
    block = functools.partial(
      PreActBlock,
      layers,
      activation=activation,
      names=NAMES,
      project=project_3x3,
      reads_activated=False,
    )
    widths = [width * 2**k for k in range(len(blocks))]
    self.conv_2d = layers.conv(channels, width, 3)
    self.stages = tuple(f'layer_{k}' for k in range(len(blocks)))
    for name, stage in zip(self.stages, make_stages(block, width, blocks, widths)):
      setattr(self, name, stage)
    self.batchnorm = layers.bn(widths[-1])
    self.logits = layers.linear(widths[-1], classes, zero_bias=True, init=ZEROS)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.conv_2d(x)
    for name in self.stages:
      x = through(getattr(self, name), x, self.remat)
    return self.logits(global_average(activation_of(self.activation)(self.batchnorm(x))))
