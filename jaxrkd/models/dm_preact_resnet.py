"""PreActResNet-18 in DeepMind's layout (the "ResNet-18" of Rebuffi, Rade and Gowal, 2021).

arXiv:2103.01946. It differs from `preact_resnet.py` in more than names: "SAME" padding, and
3x3 projections, which act on what enters a block; 12,548,426 parameters for 10 classes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average, haiku_default, through


class DMPreActBlock(nnx.Module):
  """BatchNorm, activation and convolution twice, plus the shortcut."""

  FOLDS = (('conv_2d_1', 'batchnorm_1'),)

  def __init__(
    self, layers: Layers, inputs: int, outputs: int, stride: int, activation: str
  ):
    self.activation = activation
    self.batchnorm_0 = layers.bn(inputs)
    self.conv_2d_1 = layers.conv(inputs, outputs, 3, stride)
    self.batchnorm_1 = layers.bn(outputs)
    self.conv_2d_2 = layers.conv(outputs, outputs, 3)
    self.changes = stride != 1 or inputs != outputs
    if self.changes:
      self.shortcut = layers.conv(inputs, outputs, 3, stride)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    y = self.conv_2d_1(act(self.batchnorm_0(x)))
    y = self.conv_2d_2(act(self.batchnorm_1(y)))
    return y + (self.shortcut(x) if self.changes else x)


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
    activation_of(activation)
    self.activation, self.remat = activation, layers.remat
    layers = layers.replace(conv_init=haiku_default, padding='same')
    self.conv_2d = layers.conv(channels, width, 3)
    inputs = width
    self.stages = tuple(f'layer_{k}' for k in range(len(blocks)))
    for k, (name, count) in enumerate(zip(self.stages, blocks)):
      stage, outputs = [], width * 2**k
      for i in range(count):
        stride = 2 if k > 0 and i == 0 else 1
        stage.append(DMPreActBlock(layers, inputs, outputs, stride, activation))
        inputs = outputs
      setattr(self, name, nnx.List(stage))
    self.batchnorm = layers.bn(inputs)
    zeros = lambda key, shape: jnp.zeros(shape)
    self.logits = layers.linear(inputs, classes, zero_bias=True, init=zeros)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.conv_2d(x)
    for name in self.stages:
      x = through(getattr(self, name), x, self.remat)
    return self.logits(global_average(activation_of(self.activation)(self.batchnorm(x))))
