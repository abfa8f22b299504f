"""XCiT: attention over channels instead of pixels (El-Nouby et al., 2021, arXiv:2106.09681).

The robust ones of Debenedetti et al. (2022, 2209.07399) are public for CIFAR and ImageNet.
Names are those of their files (timm's). Attention and everything around it is computed in the
parameters' type or the compute type; LayerNorm and the last layer in the parameters' type.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxrkd.errors import InputError, one_of
from jaxrkd.models.activations import activation_of
from jaxrkd.models.conv_bn import ConvBN
from jaxrkd.models.layers import Layers, through
from jaxrkd.models.token_layers import (
  BiasedDepthwise,
  BiasedPointwise,
  Dense,
  LayerNorm,
  truncated,
)

Array = jax.Array
# Size of a patch -> strides of the four convolutions that make it.
STRIDES = {16: (2, 2, 2, 2), 8: (1, 2, 2, 2), 4: (1, 1, 2, 2), 2: (1, 1, 1, 2)}
# Frequencies of the positions, and the longest wave.
WAVES, LONGEST = 32, 10000.0


class PatchEmbed(nnx.Module):
  """Four convolutions in place of one cut into patches; even numbers as in PyTorch."""

  def __init__(
    self, layers: Layers, channels: int, dim: int, patch: int, activation: str
  ):
    self.activation = activation
    self.proj = Numbered()
    inputs = channels
    for k, stride in enumerate(STRIDES[one_of(patch, tuple(STRIDES), 'patch')]):
      outputs = dim // 2 ** (3 - k)
      setattr(self.proj, str(2 * k), ConvBN(layers, inputs, outputs, 3, stride))
      inputs = outputs

  def __call__(self, x: Array) -> Array:
    for k in range(4):
      x = getattr(self.proj, str(2 * k))(x)
      x = activation_of(self.activation)(x) if k < 3 else x
    return x


class Numbered(nnx.Module):
  """Holds parts whose names are numbers."""


class PositionalEncoding(nnx.Module):
  """Where a patch lies, as waves of both coordinates, mapped to the tokens' length."""

  def __init__(self, layers: Layers, dim: int):
    self.token_projection = BiasedPointwise(layers, 2 * WAVES, dim)

  def __call__(self, height: int, width: int) -> Array:
    """[1, height, width, dim]."""
    return self.token_projection(jnp.asarray(place_waves(height, width))[None])


def place_waves(height: int, width: int) -> np.ndarray:
  """Sines and cosines of the place, counted from 1 and scaled to 2 pi, [H, W, 2 WAVES]."""
  speed = LONGEST ** (2 * (np.arange(WAVES) // 2) / WAVES)

  def along(length: int) -> np.ndarray:
    place = np.arange(1, length + 1) / (length + 1e-6) * 2 * math.pi
    angle = place[:, None] / speed
    return np.where(np.arange(WAVES) % 2, np.cos(angle), np.sin(angle))

  rows = np.broadcast_to(along(height)[:, None], (height, width, WAVES))
  columns = np.broadcast_to(along(width)[None], (height, width, WAVES))
  return np.concatenate([rows, columns], axis=-1)


class ChannelAttention(nnx.Module):
  """Softmax over how alike channels are, over all places (equation 2)."""

  def __init__(self, layers: Layers, dim: int, heads: int):
    self.heads = heads
    self.temperature = nnx.Param(jnp.ones((heads, 1, 1)))
    self.qkv = Dense(layers, dim, 3 * dim)
    self.proj = Dense(layers, dim, dim)

  def __call__(self, x: Array) -> Array:
    batch, height, width, dim = x.shape
    parts = self.qkv(x).reshape(batch, height * width, 3, self.heads, dim // self.heads)
    q, k, v = (jnp.moveaxis(parts[:, :, i], 1, 3) for i in range(3))  # [B, h, d, N]
    alike = jnp.einsum('bhdn,bhen->bhde', _unit(q), _unit(k))
    share = jax.nn.softmax(alike * self.temperature[...].astype(x.dtype), axis=-1)
    found = jnp.einsum('bhde,bhen->bnhd', share, v)
    return self.proj(found.reshape(batch, height, width, dim))


def _unit(x: Array) -> Array:
  """Rows of length 1, or shorter ones divided by 1e-12, as PyTorch normalises."""
  squares = jnp.sum(jnp.square(x.astype(jnp.promote_types(x.dtype, jnp.float32))), -1)
  length = jnp.sqrt(jnp.where(squares > 0, squares, 1))
  length = jnp.where(squares > 0, length, 0)
  return x / jnp.maximum(length, 1e-12)[..., None].astype(x.dtype)


class LocalInteraction(nnx.Module):
  """Two depthwise convolutions, with activation and BatchNorm between them."""

  def __init__(self, layers: Layers, dim: int, activation: str):
    self.activation = activation
    self.conv1 = BiasedDepthwise(layers, dim)
    self.bn = layers.bn(dim)
    self.conv2 = BiasedDepthwise(layers, dim)

  def __call__(self, x: Array) -> Array:
    return self.conv2(self.bn(activation_of(self.activation)(self.conv1(x))))


class Mlp(nnx.Module):
  """Two linear layers, four times as wide between them."""

  def __init__(self, layers: Layers, dim: int, activation: str):
    self.activation = activation
    self.fc1 = Dense(layers, dim, 4 * dim)
    self.fc2 = Dense(layers, 4 * dim, dim)

  def __call__(self, x: Array) -> Array:
    return self.fc2(activation_of(self.activation)(self.fc1(x)))


class Block(nnx.Module):
  """Attention over channels, local interaction and MLP, each added with a weight."""

  def __init__(self, layers: Layers, dim: int, heads: int, activation: str, scale: float):
    self.norm1, self.norm3, self.norm2 = (LayerNorm(layers, dim) for _ in range(3))
    self.attn = ChannelAttention(layers, dim, heads)
    self.local_mp = LocalInteraction(layers, dim, activation)
    self.mlp = Mlp(layers, dim, activation)
    self.gamma1, self.gamma2, self.gamma3 = (
      nnx.Param(jnp.full(dim, scale)) for _ in range(3)
    )

  def __call__(self, x: Array) -> Array:
    weight = lambda gamma: gamma[...].astype(x.dtype)
    x = x + weight(self.gamma1) * self.attn(self.norm1(x))
    x = x + weight(self.gamma3) * self.local_mp(self.norm3(x))
    return x + weight(self.gamma2) * self.mlp(self.norm2(x))


class ClassAttention(nnx.Module):
  """Attention of the class token to all tokens."""

  def __init__(self, layers: Layers, dim: int, heads: int):
    self.heads = heads
    self.q, self.k, self.v, self.proj = (Dense(layers, dim, dim) for _ in range(4))

  def __call__(self, x: Array) -> Array:
    """x: [B, N, dim], the class token first; returns [B, 1, dim]."""
    batch, count, dim = x.shape
    split = lambda y, n: y.reshape(batch, n, self.heads, dim // self.heads)
    q = split(self.q(x[:, :1]), 1) * (dim // self.heads) ** -0.5
    k, v = split(self.k(x), count), split(self.v(x), count)
    share = jax.nn.softmax(jnp.einsum('bqhd,bnhd->bhqn', q, k), axis=-1)
    found = jnp.einsum('bhqn,bnhd->bqhd', share, v)
    return self.proj(found.reshape(batch, 1, dim))


class ClassBlock(nnx.Module):
  """Class attention and MLP for the class token; all tokens are normalised on the way."""

  def __init__(self, layers: Layers, dim: int, heads: int, activation: str, scale: float):
    self.norm1, self.norm2 = LayerNorm(layers, dim), LayerNorm(layers, dim)
    self.attn = ClassAttention(layers, dim, heads)
    self.mlp = Mlp(layers, dim, activation)
    self.gamma1, self.gamma2 = (nnx.Param(jnp.full(dim, scale)) for _ in range(2))

  def __call__(self, x: Array) -> Array:
    weight = lambda gamma: gamma[...].astype(x.dtype)
    normal = self.norm1(x)
    seen = jnp.concatenate([self.attn(normal), normal[:, 1:]], axis=1)
    x = self.norm2(x + weight(self.gamma1) * seen)
    # The other tokens are added to themselves, as published.
    own = weight(self.gamma2) * self.mlp(x[:, :1])
    return x + jnp.concatenate([own, x[:, 1:]], axis=1)


class XCiT(nnx.Module):
  """XCiT-S12; 26.2 million parameters for 1,000 classes in the published sizes.

  Args:
    layers: maker of layers.
    classes: number of logits.
    channels: of the images.
    dim: length of a token: 384 (S), 512 (M), 768 (L); a multiple of 8.
    depth: blocks before the class token comes.
    heads: of the attention; they divide `dim`.
    patch: pixels of a patch, on a side: 16 for ImageNet, 4 in the files for CIFAR.
    activation: a row of `ACTIVATIONS`.
    scale: first weights of what blocks add (LayerScale).

  Raises:
    InputError: sizes that do not divide each other.
  """

  def __init__(
    self,
    layers: Layers,
    classes: int,
    channels: int,
    dim: int = 384,
    depth: int = 12,
    heads: int = 8,
    patch: int = 16,
    activation: str = 'gelu',
    scale: float = 1.0,
  ):
    activation_of(activation)
    if dim % 8 or dim % heads:
      raise InputError(
        f'XCiT has dim {dim} and {heads} heads; dim must be a multiple of 8 and of the '
        'heads, such as dim=384 with heads=8'
      )
    self.remat = layers.remat
    self.patch_embed = PatchEmbed(layers, channels, dim, patch, activation)
    self.pos_embed = PositionalEncoding(layers, dim)
    options = (layers, dim, heads, activation, scale)
    self.blocks = nnx.List([Block(*options) for _ in range(depth)])
    self.cls_token = nnx.Param(truncated(layers, (1, 1, dim)))
    self.cls_attn_blocks = nnx.List([ClassBlock(*options) for _ in range(2)])
    self.norm = LayerNorm(layers, dim)
    self.head = layers.linear(dim, classes, zero_bias=True)

  def __call__(self, x: Array) -> Array:
    x = self.patch_embed(x)
    batch, height, width, dim = x.shape
    x = x + self.pos_embed(height, width).astype(x.dtype)
    x = through(self.blocks, x, self.remat)
    first = jnp.broadcast_to(self.cls_token[...].astype(x.dtype), (batch, 1, dim))
    x = jnp.concatenate([first, x.reshape(batch, height * width, dim)], axis=1)
    x = through(self.cls_attn_blocks, x, self.remat)
    return self.head(self.norm(x)[:, 0])
