"""Networks as PyTorch computes them, straight from a state_dict.

Only here for checks: a conversion is right where these logits equal ours, and an exported
PyTorch file is measured through them. Needs the extra `torch`.
"""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop import torch_xcit
from jaxrkd.interop.state_dict import State
from jaxrkd.interop.torch_layers import Layers, count
from jaxrkd.models import is_shipped
from jaxrkd.models.normalisation import constants

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


def _convnet(net: Layers, x: Tensor, options: Mapping[str, Any]) -> Tensor:
  for i, stride in enumerate(options['strides'][: count(net, 'convs.{}')]):
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
    for i in range(count(net, f'layer{k}.{{}}.conv1')):
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
    for i in range(count(net, f'layer{k}.{{}}.conv1')):
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
    for i in range(count(net, f'block{k}.layer.{{}}.conv1')):
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
    for i in range(count(net, f'layer.{k}.block.{{}}.conv_0')):
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
    for i in range(count(net, f'layer_{k}.{{}}.conv_2d_1')):
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
  for i in range(count(net, 'layers.{}.conv1')):
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
  blocks = count(net, 'features.{}.conv.0.0', 1)
  for i in range(1, blocks):
    block, stride = f'features.{i}.conv', 2 if i in (2, 4, 7, 14) else 1
    last = 2 if net.has(f'{block}.3') else 1
    y = conv_bn(x, f'{block}.0', 1 if last == 2 else stride)
    if last == 2:
      y = conv_bn(y, f'{block}.1', stride)
    y = net.bn(net.conv(y, f'{block}.{last}'), f'{block}.{last + 1}')
    x = x + y if stride == 1 and x.shape[1] == y.shape[1] else y
  return net.head(conv_bn(x, f'features.{blocks}'), 'classifier.1')


# The longest beginning of a network's name that is here says how it is computed.
FAMILIES: dict[str, Callable[[Layers, Tensor, Mapping[str, Any]], Tensor]] = {
  'convnet': _convnet,
  'resnet': _resnet,
  'imagenet_resnet': _resnet,
  'imagenet_mobilenet_v2': _imagenet_mobilenet,
  'preact_resnet': _preact,
  'mobilenet_v2': _mobilenet,
  'wrn': _wide,
  'xcit': torch_xcit.logits,
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
