"""XCiT as PyTorch computes it, from a state_dict; see `torch_net`."""

from collections.abc import Mapping
from typing import Any

from jaxrkd.interop.torch_layers import Layers, Tensor, count
from jaxrkd.models.xcit import STRIDES, place_waves


def logits(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  """Of normalised images [B, C, H, W]; arguments as every row of `torch_net.FAMILIES`."""
  for k, stride in enumerate(STRIDES[options['patch']]):
    x = net.shortcut(x, f'patch_embed.proj.{2 * k}', stride)
    x = net.act(x) if k < 3 else x
  batch, dim, height, width = x.shape
  tokens = x.flatten(2).transpose(1, 2)
  tokens = tokens + _places(net, height, width).flatten(2).transpose(1, 2)
  heads = net.t['blocks.0.attn.temperature'].shape[0]
  for i in range(count(net, 'blocks.{}.norm1')):
    tokens = _xcit_block(net, tokens, f'blocks.{i}', heads, (height, width))
  first = net.t['cls_token'].expand(batch, 1, dim)
  return net.linear(_class_token(net, _cat([first, tokens]), heads), 'head')


def _cat(parts: list[Tensor]) -> Tensor:
  import torch

  return torch.cat(parts, dim=1)


def _places(net: Layers, height: int, width: int) -> Tensor:
  import torch

  weight = net.t['pos_embed.token_projection.weight']
  waves = torch.from_numpy(place_waves(height, width)).to(weight.dtype)
  bias = net.t['pos_embed.token_projection.bias']
  return net._f.conv2d(waves.permute(2, 0, 1)[None], weight, bias)


def _xcit_block(
  net: Layers, x: Tensor, name: str, heads: int, shape: tuple[int, int]
) -> Tensor:
  batch, places, dim = x.shape
  gamma = lambda number: net.t[f'{name}.gamma{number}']
  y = net.linear(net.layer_norm(x, f'{name}.norm1'), f'{name}.attn.qkv')
  parts = y.reshape(batch, places, 3, heads, dim // heads).permute(2, 0, 3, 4, 1)
  q, k = (net._f.normalize(part, dim=-1) for part in parts[:2])
  share = (q @ k.transpose(-2, -1) * net.t[f'{name}.attn.temperature']).softmax(-1)
  found = (share @ parts[2]).permute(0, 3, 1, 2).reshape(batch, places, dim)
  x = x + gamma(1) * net.linear(found, f'{name}.attn.proj')
  y = net.layer_norm(x, f'{name}.norm3').transpose(1, 2).reshape(batch, dim, *shape)
  y = net.act(_deep(net, y, f'{name}.local_mp.conv1'))
  y = _deep(net, net.bn(y, f'{name}.local_mp.bn'), f'{name}.local_mp.conv2')
  x = x + gamma(3) * y.flatten(2).transpose(1, 2)
  return x + gamma(2) * _mlp(net, net.layer_norm(x, f'{name}.norm2'), f'{name}.mlp')


def _deep(net: Layers, x: Tensor, name: str) -> Tensor:
  weight, bias = net.t[f'{name}.weight'], net.t[f'{name}.bias']
  return net._f.conv2d(x, weight, bias, 1, 1, 1, x.shape[1])


def _mlp(net: Layers, x: Tensor, name: str) -> Tensor:
  return net.linear(net.act(net.linear(x, f'{name}.fc1')), f'{name}.fc2')


def _class_token(net: Layers, x: Tensor, heads: int) -> Tensor:
  batch, _, dim = x.shape
  for i in range(count(net, 'cls_attn_blocks.{}.norm1')):
    name = f'cls_attn_blocks.{i}'
    normal = net.layer_norm(x, f'{name}.norm1')
    q, k, v = (
      net.linear(part, f'{name}.attn.{word}')
      .reshape(batch, -1, heads, dim // heads)
      .transpose(1, 2)
      for part, word in ((normal[:, :1], 'q'), (normal, 'k'), (normal, 'v'))
    )
    share = (q * (dim // heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
    found = (share @ v).transpose(1, 2).reshape(batch, 1, dim)
    found = net.linear(found, f'{name}.attn.proj')
    x = x + net.t[f'{name}.gamma1'] * _cat([found, normal[:, 1:]])
    x = net.layer_norm(x, f'{name}.norm2')
    own = net.t[f'{name}.gamma2'] * _mlp(net, x[:, :1], f'{name}.mlp')
    x = x + _cat([own, x[:, 1:]])
  return net.layer_norm(x, 'norm')[:, 0]
