"""A convolution and the BatchNorm behind it, as many PyTorch files number them."""

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers


class ConvBN(nnx.Module):
  """They are named '0' and '1', as in a `torch.nn.Sequential`.

  Args:
    layers: maker of layers.
    inputs: channels that enter.
    outputs: channels that leave.
    size: of the kernel.
    stride: of both directions.
    depthwise: one filter for each channel, of which as many leave as enter.
    activation: what follows, a row of `ACTIVATIONS`; empty is nothing.
  """

  FOLDS = (('0', '1'),)

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    size: int,
    stride: int,
    depthwise: bool = False,
    activation: str = '',
  ):
    self.activation = activation
    conv = (
      layers.depthwise(outputs, size, stride)
      if depthwise
      else layers.conv(inputs, outputs, size, stride)
    )
    setattr(self, '0', conv)
    setattr(self, '1', layers.bn(outputs))

  def __call__(self, x: jax.Array) -> jax.Array:
    x = getattr(self, '1')(getattr(self, '0')(x))
    return activation_of(self.activation)(x) if self.activation else x
