"""WideResNet in DeepMind's layout (WRN-28-10-swish, WRN-70-16 and relatives).

Gowal et al., 2020, arXiv:2010.03593; Rebuffi et al., 2021, arXiv:2103.01946. The blocks of
`wide_resnet.py`, but "SAME" padding, which shifts the stride-2 convolutions by a pixel,
other initial values and, unless told otherwise, swish. Its BatchNorm keeps 0.99 of the old
running value (`BATCH_NORMS`), and its normalisation belongs to the weights: set
`normalisation`. Attribute names are those of the authors' PyTorch port.
"""

import functools

import jax
from flax import nnx

from jaxrkd.models.activations import activation_of
from jaxrkd.models.layers import Layers, global_average, haiku_default
from jaxrkd.models.mean_sparse import MeanSparse
from jaxrkd.models.preact_block import Names
from jaxrkd.models.wide_resnet import make_groups

ZEROS = jax.nn.initializers.zeros
NAMES = Names(
  bns=('batchnorm_0', 'batchnorm_1'),
  convs=('conv_0', 'conv_1'),
  shortcut='shortcut',
  sparse=('meansparse_0', 'meansparse_1', 'meansparse_2'),
)


class DMWideResNet(nnx.Module):
  """WRN-depth-width, sizes and errors as `WideResNet`; 36,479,194 parameters for 28-10.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    depth: 6n + 4.
    width: multiple of the basic channels.
    activation: a row of `ACTIVATIONS`.
    mean_sparse: with `MeanSparse` after every BatchNorm and block, for files that have it.
    straight_through: of that, in gradients; see `MeanSparse`.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    depth: int = 28,
    width: int = 10,
    activation: str = 'swish',
    mean_sparse: bool = False,
    straight_through: bool = False,
  ):
    self.activation = activation
    layers = layers.replace(conv_init=haiku_default, padding='same')
    self.init_conv = layers.conv(channels, 16, 3)
    kind = functools.partial(MeanSparse, straight_through=straight_through)
    sparse = kind if mean_sparse else None
    groups = make_groups(layers, depth, width, activation, NAMES, 'block', sparse)
    self.layer = nnx.List(groups)
    self.batchnorm = layers.bn(64 * width)
    self.sparse = sparse is not None
    if sparse is not None:
      self.meansparse_end = sparse(64 * width)
    self.logits = layers.linear(64 * width, classes, zero_bias=True, init=ZEROS)

  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.init_conv(x)
    for group in self.layer:
      x = group(x)
    x = self.batchnorm(x)
    if self.sparse:
      x = self.meansparse_end(x)
    return self.logits(global_average(activation_of(self.activation)(x)))
