"""The layers the networks are made of, initialised as PyTorch initialises them."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.models.batch_norm import BatchNorm
from jaxrkd.models.conv import conv2d
from jaxrkd.models.depthwise import depthwise_conv2d
from jaxrkd.models.remat import remat_call

Array = jax.Array
Initializer = Callable[..., Array]

# PyTorch's default for convolutions and linear layers: U(-1/sqrt(fan_in), 1/sqrt(fan_in)),
# whose variance is 1 / (3 fan_in).
torch_default = jax.nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
kaiming_fan_out = jax.nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')
kaiming_fan_in = jax.nn.initializers.variance_scaling(2.0, 'fan_in', 'normal')


def haiku_default(key: Array, shape: Sequence[int], dtype: Any = float) -> Array:
  """A normal of deviation 1/sqrt(fan_in), cut at two deviations and not widened again."""
  deviation = math.prod(shape[:-1]) ** -0.5
  return deviation * jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)


class Conv(nnx.Module):
  """A k x k convolution without bias; `kernel` is [k, k, in, out]."""

  def __init__(
    self,
    kernel: Array,
    stride: int,
    dtype: jnp.dtype | None,
    padding: str = 'symmetric',
  ):
    self.kernel = nnx.Param(kernel)
    self.stride = stride
    self.dtype = dtype
    self.padding = padding

  def __call__(self, x: Array) -> Array:
    dtype = self.dtype or self.kernel[...].dtype
    kernel = self.kernel[...].astype(dtype)
    return conv2d(x.astype(dtype), kernel, self.stride, self.padding)


class DepthwiseConv(Conv):
  """One k x k filter per channel; `kernel` is [k, k, 1, channels]."""

  def __call__(self, x: Array) -> Array:
    dtype = self.dtype or self.kernel[...].dtype
    return depthwise_conv2d(x.astype(dtype), self.kernel[...].astype(dtype), self.stride)


class Linear(nnx.Module):
  """x @ kernel + bias, computed in the parameters' type: logits are never bfloat16."""

  def __init__(self, kernel: Array, bias: Array):
    self.kernel = nnx.Param(kernel)
    self.bias = nnx.Param(bias)

  def __call__(self, x: Array) -> Array:
    kernel = self.kernel[...]
    return x.astype(kernel.dtype) @ kernel + self.bias[...]


@dataclasses.dataclass(frozen=True)
class Layers:
  """Makes layers that share a source of randomness, a compute type and a BatchNorm rule.

  Args:
    rngs: where initial values come from.
    dtype: compute type of convolutions and activations; None keeps the parameters' type.
    bn_variance: see `BatchNorm`.
    bn_momentum: see `BatchNorm`.
    conv_init: initial convolution kernels.
    padding: of convolutions; see `conv2d`.
    remat: see `through`.
  """

  rngs: nnx.Rngs
  dtype: jnp.dtype | None = None
  bn_variance: str = 'unbiased'
  bn_momentum: float = 0.9
  conv_init: Initializer = torch_default
  padding: str = 'symmetric'
  remat: bool = False

  def replace(self, **changes: Any) -> 'Layers':
    return dataclasses.replace(self, **changes)

  def conv(self, inputs: int, outputs: int, size: int, stride: int = 1) -> Conv:
    kernel = self.conv_init(self.rngs.params(), (size, size, inputs, outputs))
    return Conv(kernel, stride, self.dtype, self.padding)

  def depthwise(self, channels: int, size: int, stride: int = 1) -> DepthwiseConv:
    kernel = self.conv_init(self.rngs.params(), (size, size, 1, channels))
    return DepthwiseConv(kernel, stride, self.dtype)

  def bn(self, features: int) -> BatchNorm:
    return BatchNorm(features, momentum=self.bn_momentum, variance=self.bn_variance)

  def linear(
    self,
    inputs: int,
    outputs: int,
    *,
    zero_bias: bool = False,
    init: Initializer = torch_default,
  ) -> Linear:
    kernel = init(self.rngs.params(), (inputs, outputs))
    bound = inputs**-0.5
    bias = jax.random.uniform(self.rngs.params(), (outputs,), minval=-bound, maxval=bound)
    return Linear(kernel, jnp.zeros(outputs) if zero_bias else bias)


def make_stages(
  block: Callable[[int, int, int], nnx.Module],
  inputs: int,
  blocks: Sequence[int],
  widths: Sequence[int],
) -> list[nnx.List]:
  """Stages of blocks; the first block of every stage but the first halves the image.

  Args:
    block: (inputs, outputs, stride) -> a block.
    inputs: channels that enter.
    blocks: how many in each stage.
    widths: channels of each stage.
  """
  stages = []
  for k, (count, width) in enumerate(zip(blocks, widths)):
    first = block(inputs, width, 2 if k else 1)
    stages.append(nnx.List([first, *(block(width, width, 1) for _ in range(count - 1))]))
    inputs = width
  return stages


def through(blocks: Iterable[Any], x: Array, remat: bool) -> Array:
  """Sends x through blocks one after the other.

  Args:
    blocks: modules that map x to x.
    x: [B, H, W, C].
    remat: keep for the gradient only what goes in between blocks; see `remat_call`.
  """
  for block in blocks:
    x = remat_call(block, x) if remat else block(x)
  return x


def global_average(x: Array) -> Array:
  """[B, H, W, C] -> [B, C], summed in float32 or wider."""
  return jnp.mean(x.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=(1, 2))
