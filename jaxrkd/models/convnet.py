"""A small convolutional network for small images, such as 8x8 digits."""

from collections.abc import Sequence

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average


class ConvNet(nnx.Module):
  """3x3 convolutions with BatchNorm and ReLU, then a linear layer on the mean.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    widths: output channels of each convolution.
    strides: of each convolution.
    activation: a row of `ACTIVATIONS`.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    widths: Sequence[int] = (32, 64, 64),
    strides: Sequence[int] = (1, 2, 1),
    activation: str = 'relu',
  ):
    activation_of(activation)
    self.activation = activation
    sizes = [channels, *widths]
    self.convs = nnx.List(
      [layers.conv(i, o, 3, s) for i, o, s in zip(sizes[:-1], widths, strides)]
    )
    self.bns = nnx.List([layers.bn(o) for o in widths])
    self.FOLDS = tuple((f'convs.{i}', f'bns.{i}') for i in range(len(widths)))
    self.linear = layers.linear(sizes[-1], classes)

  def __call__(self, x: jax.Array) -> jax.Array:
    act = activation_of(self.activation)
    for conv, bn in zip(self.convs, self.bns):
      x = act(bn(conv(x)))
    return self.linear(global_average(x))
