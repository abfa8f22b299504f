"""Layers of networks that compute with tokens: linear, LayerNorm, convolutions with bias."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.models.depthwise import depthwise_conv2d
from jaxrkd.models.layers import Layers

Array = jax.Array


def truncated(layers: Layers, shape: tuple[int, ...]) -> Array:
  """Initial values of tokens and linear layers: a normal of deviation 0.02, cut at two."""
  return 0.02 * jax.random.truncated_normal(layers.rngs.params(), -2.0, 2.0, shape)


class Dense(nnx.Module):
  """x @ kernel + bias in the compute type, over the last axis."""

  def __init__(self, layers: Layers, inputs: int, outputs: int):
    self.kernel = nnx.Param(truncated(layers, (inputs, outputs)))
    self.bias = nnx.Param(jnp.zeros(outputs))
    self.dtype: Any = layers.dtype

  def __call__(self, x: Array) -> Array:
    dtype = self.dtype or self.kernel[...].dtype
    return x.astype(dtype) @ self.kernel[...].astype(dtype) + self.bias[...].astype(dtype)


class LayerNorm(nnx.Module):
  """Normalises the last axis by itself, computed in the parameters' type.

  Args:
    layers: maker of layers.
    features: length of the last axis.
    epsilon: added to the variance; timm's 1e-6.
  """

  def __init__(self, layers: Layers, features: int, epsilon: float = 1e-6):
    self.scale = nnx.Param(jnp.ones(features))
    self.bias = nnx.Param(jnp.zeros(features))
    self.epsilon = epsilon
    self.dtype: Any = layers.dtype

  def __call__(self, x: Array) -> Array:
    scale = self.scale[...]
    x = x.astype(scale.dtype)
    away = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(away), axis=-1, keepdims=True)
    found = away * jax.lax.rsqrt(variance + self.epsilon) * scale + self.bias[...]
    return found.astype(self.dtype or scale.dtype)


class BiasedPointwise(nnx.Module):
  """A 1x1 convolution with bias, in the parameters' type."""

  def __init__(self, layers: Layers, inputs: int, outputs: int):
    self.kernel = nnx.Param(layers.conv(inputs, outputs, 1).kernel[...])
    self.bias = nnx.Param(jnp.zeros(outputs))

  def __call__(self, x: Array) -> Array:
    kernel = self.kernel[...]
    return x.astype(kernel.dtype) @ kernel[0, 0] + self.bias[...]


class BiasedDepthwise(nnx.Module):
  """One 3x3 filter per channel, and a bias."""

  def __init__(self, layers: Layers, channels: int):
    self.kernel = nnx.Param(layers.depthwise(channels, 3).kernel[...])
    self.bias = nnx.Param(jnp.zeros(channels))
    self.dtype: Any = layers.dtype

  def __call__(self, x: Array) -> Array:
    dtype = self.dtype or self.kernel[...].dtype
    found = depthwise_conv2d(x.astype(dtype), self.kernel[...].astype(dtype))
    return found + self.bias[...].astype(dtype)
