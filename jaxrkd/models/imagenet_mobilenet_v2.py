"""MobileNetV2 for images of 96 pixels and more (Sandler et al., 2018, arXiv:1801.04381).

Strides, ReLU6 and names as in torchvision; without its Dropout in front of the last layer.
"""

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.conv_bn import ConvBN
from jaxrkd.models.layers import Layers, global_average, kaiming_fan_out, through
from jaxrkd.models.mobilenet_v2 import GROUPS, blocks_of

# Stride of the first block of each group.
STRIDES = (1, 2, 2, 2, 1, 2, 1)


class Branch(nnx.Module):
  """Expansion (where there is one), depthwise, linear 1x1; numbered as in PyTorch."""

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    expansion: int,
    stride: int,
    activation: str,
  ):
    hidden = inputs * expansion
    parts: list[nnx.Module] = []
    if expansion != 1:
      parts.append(ConvBN(layers, inputs, hidden, 1, 1, activation=activation))
    deep = (layers, hidden, hidden, 3, stride)
    parts.append(ConvBN(*deep, activation=activation, depthwise=True))
    parts += [layers.conv(hidden, outputs, 1), layers.bn(outputs)]
    self.count = len(parts)
    for number, part in enumerate(parts):
      setattr(self, str(number), part)
    self.FOLDS = ((str(self.count - 2), str(self.count - 1)),)

  def __call__(self, x: jax.Array) -> jax.Array:
    for number in range(self.count):
      x = getattr(self, str(number))(x)
    return x


class InvertedResidual(nnx.Module):
  """A branch, and the image beside it where shapes stay."""

  def __init__(
    self,
    layers: Layers,
    inputs: int,
    outputs: int,
    expansion: int,
    stride: int,
    activation: str,
  ):
    self.conv = Branch(layers, inputs, outputs, expansion, stride, activation)
    self.residual = stride == 1 and inputs == outputs

  def __call__(self, x: jax.Array) -> jax.Array:
    y = self.conv(x)
    return x + y if self.residual else y


class ImageNetMobileNetV2(nnx.Module):
  """3,504,872 parameters for 1,000 classes; the image shrinks to a 32nd of its length.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    activation: a row of `ACTIVATIONS`.
  """

  def __init__(
    self, layers: Layers, classes: int, channels: int, activation: str = 'relu6'
  ):
    activation_of(activation)
    self.remat = layers.remat
    layers = layers.replace(conv_init=kaiming_fan_out)
    last = GROUPS[-1][1]
    self.features = nnx.List(
      [
        ConvBN(layers, channels, 32, 3, 2, activation=activation),
        *(InvertedResidual(layers, *sizes, activation) for sizes in blocks_of(STRIDES)),
        ConvBN(layers, last, 1280, 1, 1, activation=activation),
      ]
    )
    self.classifier = Classifier(layers, 1280, classes)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = through(self.features, x, self.remat)
    return self.classifier(global_average(x))


class Classifier(nnx.Module):
  """The last layer, named '1': in PyTorch Dropout is '0'."""

  def __init__(self, layers: Layers, inputs: int, classes: int):
    setattr(self, '1', layers.linear(inputs, classes))

  def __call__(self, x: jax.Array) -> jax.Array:
    return getattr(self, '1')(x)
