"""Networks as PyTorch computes them, straight from a state_dict.

Only here for checks: a conversion is right where these logits equal ours, and an exported
PyTorch file is measured through them. Needs the extra `torch`.
"""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.state_dict import State
from jaxrkd.models import is_shipped
from jaxrkd.models.normalisation import constants
from jaxrkd.models.xcit import STRIDES, place_waves

Tensor = Any  # torch.Tensor


def installed() -> bool:
  """Whether torch is there."""
  return importlib.util.find_spec('torch') is not None


def need_torch(why: str) -> Any:
  """The torch module; raises `InputError` where it is not installed."""
  if not installed():
    raise InputError(f"{why} needs PyTorch: install it with pip install 'jaxrkd[torch]'")
  import torch

  return torch


class Layers:
  """Layers that find their weights by name.

  Args:
    state: PyTorch's names and layouts; numpy arrays.
    activation: a row of `models.ACTIVATIONS`.
  """

  def __init__(self, state: State, activation: str):
    import torch
    from torch.nn import functional

    self._f, self._pad = functional, functional.pad
    self.t = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
    activations: dict[str, Callable[[Tensor], Tensor]] = {
      'relu': functional.relu,
      'swish': functional.silu,
      'gelu': functional.gelu,
      'elu': functional.elu,
      'relu6': functional.relu6,
    }
    self.act = activations[activation]

  def has(self, name: str) -> bool:
    return f'{name}.weight' in self.t

  def conv(self, x: Tensor, name: str, stride: int = 1, same: bool = False) -> Tensor:
    weight = self.t[f'{name}.weight']
    groups = x.shape[1] if weight.shape[1] == 1 and x.shape[1] > 1 else 1
    pad = weight.shape[-1] // 2
    if same and stride == 2 and pad:
      # "SAME" at even sizes: one row below, one column on the right.
      x, pad = self._pad(x, (0, 1, 0, 1)), 0
    return self._f.conv2d(x, weight, None, stride, pad, 1, groups)

  def bn(self, x: Tensor, name: str) -> Tensor:
    words = ('running_mean', 'running_var', 'weight', 'bias')
    return self._f.batch_norm(x, *(self.t[f'{name}.{word}'] for word in words))

  def linear(self, x: Tensor, name: str) -> Tensor:
    """Over the last axis."""
    return self._f.linear(x, self.t[f'{name}.weight'], self.t[f'{name}.bias'])

  def layer_norm(self, x: Tensor, name: str) -> Tensor:
    weight, bias = self.t[f'{name}.weight'], self.t[f'{name}.bias']
    return self._f.layer_norm(x, weight.shape, weight, bias, 1e-6)

  def sparse(self, x: Tensor, name: str) -> Tensor:
    """MeanSparse, where the network has it."""
    if f'{name}.threshold' not in self.t:
      return x
    mean, var, threshold = (
      self.t[f'{name}.{word}'] for word in ('running_mean', 'running_var', 'threshold')
    )
    mean, reach = mean[:, None, None], (threshold * var.sqrt())[:, None, None]
    return mean.where((x - mean).abs() < reach, x)

  def head(self, x: Tensor, name: str) -> Tensor:
    return self._f.linear(
      x.mean((2, 3)), self.t[f'{name}.weight'], self.t[f'{name}.bias']
    )

  def shortcut(self, x: Tensor, name: str, stride: int) -> Tensor:
    """A projection with BatchNorm under `name`."""
    return self.bn(self.conv(x, f'{name}.0', stride), f'{name}.1')


def _count(net: Layers, pattern: str, first: int = 0) -> int:
  """One more than the last number of a layer."""
  count = first
  while net.has(pattern.format(count)):
    count += 1
  return count


def _convnet(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  for i, stride in enumerate(options['strides'][: _count(net, 'convs.{}')]):
    x = net.act(net.bn(net.conv(x, f'convs.{i}', stride), f'bns.{i}'))
  return net.head(x, 'linear')


def _stem(net: Layers, x: Tensor) -> tuple[Tensor, bool]:
  """The first convolution, and whether max pooling follows."""
  large = net.t['conv1.weight'].shape[-1] == 7
  return net.conv(x, 'conv1', 2 if large else 1), large


def _resnet(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  x, large = _stem(net, x)
  x = net.act(net.bn(x, 'bn1'))
  if large:
    x = net._f.max_pool2d(x, 3, 2, 1)
  for k in range(1, 5 if net.has('layer4.0.conv1') else 4):
    for i in range(_count(net, f'layer{k}.{{}}.conv1')):
      block, stride = f'layer{k}.{i}', 2 if k > 1 and i == 0 else 1
      # Of three convolutions the middle one has the stride.
      three = net.has(f'{block}.conv3')
      first, second = (1, stride) if three else (stride, 1)
      y = net.act(net.bn(net.conv(x, f'{block}.conv1', first), f'{block}.bn1'))
      y = net.bn(net.conv(y, f'{block}.conv2', second), f'{block}.bn2')
      if three:
        y = net.bn(net.conv(net.act(y), f'{block}.conv3'), f'{block}.bn3')
      x = net.act(y + _resnet_shortcut(net, x, block, stride, y.shape[1]))
  return net.head(x, 'linear' if net.has('linear') else 'fc')


def _resnet_shortcut(net: Layers, x: Tensor, block: str, stride: int, width: int):
  for name in ('shortcut', 'downsample'):
    if net.has(f'{block}.{name}.0'):
      return net.shortcut(x, f'{block}.{name}', stride)
  if stride == 1:
    return x
  front = width // 4
  around = (0, 0, 0, 0, front, width - x.shape[1] - front)
  return net._pad(x[:, :, ::2, ::2], around)


def _preact(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  x, large = _stem(net, x)
  if large:
    x = net._f.max_pool2d(x, 3, 2, 1)
  for k in range(1, 5):
    for i in range(_count(net, f'layer{k}.{{}}.conv1')):
      block, stride = f'layer{k}.{i}', 2 if k > 1 and i == 0 else 1
      active = net.act(net.bn(x, f'{block}.bn1'))
      y = net.act(net.bn(net.conv(active, f'{block}.conv1', stride), f'{block}.bn2'))
      if net.has(f'{block}.shortcut.0'):
        read = active if options['shortcut_reads'] == 'activated' else x
        x = net.conv(read, f'{block}.shortcut.0', stride)
      x = net.conv(y, f'{block}.conv2') + x
  if net.has('bn'):
    x = net.act(net.bn(x, 'bn'))
  return net.head(x, 'linear')


def _wide(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  x = net.conv(x, 'conv1')
  for k in (1, 2, 3):
    for i in range(_count(net, f'block{k}.layer.{{}}.conv1')):
      block, stride = f'block{k}.layer.{i}', 2 if k > 1 and i == 0 else 1
      active = net.act(net.bn(x, f'{block}.bn1'))
      y = net.act(net.bn(net.conv(active, f'{block}.conv1', stride), f'{block}.bn2'))
      if net.has(f'{block}.convShortcut'):
        x = net.conv(active, f'{block}.convShortcut', stride)
      x = net.conv(y, f'{block}.conv2') + x
  return net.head(net.act(net.bn(x, 'bn1')), 'fc')


def _dm_wide(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  x = net.conv(x, 'init_conv')
  for k in (0, 1, 2):
    for i in range(_count(net, f'layer.{k}.block.{{}}.conv_0')):
      block, stride = f'layer.{k}.block.{i}', 2 if k and i == 0 else 1
      active = net.bn(x, f'{block}.batchnorm_0')
      active = net.act(net.sparse(active, f'{block}.meansparse_0'))
      y = net.conv(active, f'{block}.conv_0', stride, same=True)
      y = net.sparse(net.bn(y, f'{block}.batchnorm_1'), f'{block}.meansparse_1')
      y = net.act(y)
      if net.has(f'{block}.shortcut'):
        x = net.conv(active, f'{block}.shortcut', stride)
      x = net.sparse(net.conv(y, f'{block}.conv_1') + x, f'{block}.meansparse_2')
  x = net.sparse(net.bn(x, 'batchnorm'), 'meansparse_end')
  return net.head(net.act(x), 'logits')


def _dm_preact(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  x = net.conv(x, 'conv_2d')
  for k in range(4):
    for i in range(_count(net, f'layer_{k}.{{}}.conv_2d_1')):
      block, stride = f'layer_{k}.{i}', 2 if k and i == 0 else 1
      y = net.act(net.bn(x, f'{block}.batchnorm_0'))
      y = net.conv(y, f'{block}.conv_2d_1', stride, same=True)
      y = net.conv(net.act(net.bn(y, f'{block}.batchnorm_1')), f'{block}.conv_2d_2')
      if net.has(f'{block}.shortcut'):
        x = net.conv(x, f'{block}.shortcut', stride, same=True)
      x = y + x
  return net.head(net.act(net.bn(x, 'batchnorm')), 'logits')


def _mobilenet(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  x = net.act(net.bn(net.conv(x, 'conv1'), 'bn1'))
  for i in range(_count(net, 'layers.{}.conv1')):
    block, stride = f'layers.{i}', 2 if i in (3, 6, 13) else 1
    y = net.act(net.bn(net.conv(x, f'{block}.conv1'), f'{block}.bn1'))
    y = net.act(net.bn(net.conv(y, f'{block}.conv2', stride), f'{block}.bn2'))
    y = net.bn(net.conv(y, f'{block}.conv3'), f'{block}.bn3')
    if net.has(f'{block}.shortcut.0'):
      x = net.shortcut(x, f'{block}.shortcut', 1) + y
    else:
      x = x + y if stride == 1 else y
  return net.head(net.act(net.bn(net.conv(x, 'conv2'), 'bn2')), 'linear')


def _imagenet_mobilenet(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  def conv_bn(x: Tensor, name: str, stride: int = 1) -> Tensor:
    return net.act(net.shortcut(x, name, stride))

  x = conv_bn(x, 'features.0', 2)
  blocks = _count(net, 'features.{}.conv.0.0', 1)
  for i in range(1, blocks):
    block, stride = f'features.{i}.conv', 2 if i in (2, 4, 7, 14) else 1
    last = 2 if net.has(f'{block}.3') else 1
    y = conv_bn(x, f'{block}.0', 1 if last == 2 else stride)
    if last == 2:
      y = conv_bn(y, f'{block}.1', stride)
    y = net.bn(net.conv(y, f'{block}.{last}'), f'{block}.{last + 1}')
    x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
  return net.head(conv_bn(x, f'features.{blocks}'), 'classifier.1')


def _xcit(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  for k, stride in enumerate(STRIDES[options['patch']]):
    x = net.shortcut(x, f'patch_embed.proj.{2 * k}', stride)
    x = net.act(x) if k < 3 else x
  batch, dim, height, width = x.shape
  tokens = x.flatten(2).transpose(1, 2)
  tokens = tokens + _places(net, height, width).flatten(2).transpose(1, 2)
  heads = net.t['blocks.0.attn.temperature'].shape[0]
  for i in range(_count(net, 'blocks.{}.norm1')):
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
  batch, count, dim = x.shape
  gamma = lambda number: net.t[f'{name}.gamma{number}']
  y = net.linear(net.layer_norm(x, f'{name}.norm1'), f'{name}.attn.qkv')
  parts = y.reshape(batch, count, 3, heads, dim // heads).permute(2, 0, 3, 4, 1)
  q, k = (net._f.normalize(part, dim=-1) for part in parts[:2])
  share = (q @ k.transpose(-2, -1) * net.t[f'{name}.attn.temperature']).softmax(-1)
  found = (share @ parts[2]).permute(0, 3, 1, 2).reshape(batch, count, dim)
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
  for i in range(_count(net, 'cls_attn_blocks.{}.norm1')):
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


# The longest beginning of a network's name that is here says how it is computed.
FAMILIES: dict[str, Callable[[Layers, Tensor, Mapping[str, Any]], Tensor]] = {
  'convnet': _convnet,
  'resnet': _resnet,
  'imagenet_resnet': _resnet,
  'imagenet_mobilenet_v2': _imagenet_mobilenet,
  'preact_resnet': _preact,
  'mobilenet_v2': _mobilenet,
  'wrn': _wide,
  'xcit': _xcit,
  'dm_wrn': _dm_wide,
  'dm_preact_resnet': _dm_preact,
}


def family(name: str) -> Callable[[Layers, Tensor, Mapping[str, Any]], Tensor] | None:
  """How a network is computed in PyTorch; None for networks of the user's own."""
  if not is_shipped(name):
    return None
  known = [start for start in FAMILIES if name.startswith(start)]
  return FAMILIES[max(known, key=len)] if known else None


def no_counterpart(name: str) -> InputError:
  """The sentence for a network that PyTorch's formats do not know."""
  return InputError(
    f'the network {name!r} has no PyTorch counterpart here (there are: '
    f'{", ".join(FAMILIES)}); export it to .stablehlo, .tflite or .npz'
  )


def torch_logits(
  node: Mapping[str, Any], state: State, channels: int
) -> Callable[[np.ndarray], np.ndarray]:
  """images [B, H, W, C] in [0, 1] -> logits [B, classes], computed by PyTorch.

  Args:
    node: the resolved `student` group: name and all options.
    state: the weights, under PyTorch's names.
    channels: of the images.

  Raises:
    InputError: torch is missing, or the network is not one of ours.
  """
  torch = need_torch('computing logits as PyTorch does')
  module = torch_module(node, state, channels)

  def logits(images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
      x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
      return module(x).numpy()

  return logits


def torch_module(node: Mapping[str, Any], state: State, channels: int) -> Any:
  """The same as a `torch.nn.Module`: images [B, C, H, W] in [0, 1] -> logits.

  Arguments and errors as `torch_logits`; only good for evaluation.
  """
  torch = need_torch('a network as a PyTorch module')
  own = family(node['name'])
  if own is None:
    raise no_counterpart(node['name'])
  net = Layers(state, node['activation'])
  normal = constants(node['normalisation'], node['mean'], node['std'], channels)
  dtype = next(iter(net.t.values())).dtype
  shift, scale = (torch.tensor(c, dtype=dtype)[:, None, None] for c in normal)

  base: Any = torch.nn.Module
  compute = own

  class Network(base):
    def forward(self, images: Tensor) -> Tensor:
      if normal[0]:
        images = (images - shift) / scale
      return compute(net, images, node)

  return Network().eval()
