"""Which network a state_dict belongs to, told by its names and shapes.

What leaves no trace in a file cannot be told: the activation and the normalisation.
"""

import re
from typing import Any

from jaxrkd.interop.state_dict import State

# Fixed sizes have rows of their own in `models.NETWORKS`.
WRN_SIZES = {(22, 6), (28, 10), (34, 10), (34, 20), (70, 16)}
RESNET_DEPTHS = (8, 20, 32, 44, 56)
EIGHTEEN, THIRTY_FOUR = (2, 2, 2, 2), (3, 4, 6, 3)
# (length of a token, heads) -> the row.
XCITS = {(384, 8): 'xcit_s12', (512, 8): 'xcit_m12', (768, 16): 'xcit_l12'}
FIRSTS = (
  'conv1',
  'init_conv',
  'conv_2d',
  'convs.0',
  'features.0.0',
  'patch_embed.proj.0.0',
)
HEADS = ('linear', 'fc', 'logits', 'classifier.1', 'head')
# Length of the first kernel of networks for large images.
LARGE = 7
Shapes = list[tuple[int, ...]]


def classes_of(state: State) -> int:
  """Rows of the last layer; 0 where there is none that one would know."""
  return _size(state, HEADS, ndim=2, axis=0)


def channels_of(state: State) -> int:
  """Channels of the images; 0 where no first convolution is known."""
  return _size(state, FIRSTS, ndim=4, axis=1)


def _size(state: State, layers: tuple[str, ...], ndim: int, axis: int) -> int:
  for layer in layers:
    weight = state.get(f'{layer}.weight')
    if weight is not None and weight.ndim == ndim:
      return int(weight.shape[axis])
  return 0


def guess(state: State) -> dict[str, Any] | None:
  """The `student` group that a file's names and shapes call for; None for unknown ones."""
  if blocks := _each(state, 'block1.layer.{}.conv1.weight'):
    return _wide('wrn', blocks)
  if blocks := _each(state, 'layer.0.block.{}.conv_0.weight'):
    sparse = 'meansparse_end.running_mean' in state
    return {**_wide('dm_wrn', blocks), **({'mean_sparse': True} if sparse else {})}
  if 'layers.16.conv3.weight' in state:
    return {'name': 'mobilenet_v2'}
  if 'cls_attn_blocks.0.attn.q.weight' in state:
    return _xcit(state)
  if 'features.18.0.weight' in state and 'classifier.1.weight' in state:
    return {'name': 'imagenet_mobilenet_v2'}
  if shapes := _each(state, 'convs.{}.weight'):
    return {'name': 'convnet', 'widths': tuple(width for width, *_ in shapes)}
  stages = [_each(state, f'layer_{k}.{{}}.conv_2d_1.weight') for k in range(4)]
  if all(stages):
    return _four_stages('dm_preact_resnet18', stages)
  stages = [_each(state, f'layer{k}.{{}}.conv2.weight') for k in (1, 2, 3, 4)]
  if not all(stages[:3]):
    return None
  if not stages[3]:
    return _cifar_resnet(state, stages[0])
  first = state.get('conv1.weight')
  large = first is not None and first.shape[-1] == LARGE
  if 'bn1.weight' in state:
    return _resnet(state, stages, large)
  final = {} if 'bn.weight' in state else {'final_bn': False}
  stem = {'stem': 'imagenet'} if large else {}
  return {**_four_stages('preact_resnet18', stages), **final, **stem}


def _xcit(state: State) -> dict[str, Any] | None:
  """An XCiT; the size of its patches leaves no trace."""
  temperature = state.get('blocks.0.attn.temperature')
  if temperature is None or 'cls_token' not in state:
    return None
  sizes = int(state['cls_token'].shape[-1]), int(temperature.shape[0])
  depth = 0
  while f'blocks.{depth}.gamma1' in state:
    depth += 1
  found: dict[str, Any] = {'name': XCITS.get(sizes, 'xcit_s12')}
  if sizes not in XCITS:
    found |= {'dim': sizes[0], 'heads': sizes[1]}
  return found if depth == 12 else {**found, 'depth': depth}


def _each(state: State, pattern: str) -> Shapes:
  """Shapes of the convolutions whose name has a number, from 0 up."""
  found: Shapes = []
  while True:
    weight = state.get(pattern.format(len(found)))
    if weight is None or weight.ndim != 4 or not weight.size:
      return found
    found.append(tuple(weight.shape))


def _wide(name: str, blocks: Shapes) -> dict[str, Any]:
  depth, width = 6 * len(blocks) + 4, max(blocks[0][0] // 16, 1)
  if (depth, width) in WRN_SIZES:
    return {'name': f'{name}_{depth}_{width}'}
  return {'name': name, 'depth': depth, 'width': width}


def _four_stages(name: str, stages: list[Shapes]) -> dict[str, Any]:
  blocks, width = tuple(len(stage) for stage in stages), stages[0][0][0]
  found: dict[str, Any] = {'name': name}
  if name == 'resnet18' and blocks == THIRTY_FOUR:
    found['name'] = 'resnet34'
  elif blocks != EIGHTEEN:
    found['blocks'] = blocks
  return {**found, 'width': width} if width != 64 else found


def _resnet(state: State, stages: list[Shapes], large: bool) -> dict[str, Any]:
  found = _four_stages('resnet18', stages)
  if 'layer1.0.conv3.weight' in state:
    if found.pop('name') == 'resnet34':
      found = {'name': 'resnet50', **found}
    else:
      found = {'name': 'resnet50', 'blocks': EIGHTEEN, **found}
  return {**found, 'name': f'imagenet_{found["name"]}'} if large else found


def _cifar_resnet(state: State, first: Shapes) -> dict[str, Any]:
  depth, width = 6 * len(first) + 2, first[0][0]
  known = depth in RESNET_DEPTHS
  found: dict[str, Any] = {'name': f'resnet{depth}' if known else 'resnet56'}
  found |= {} if known else {'depth': depth}
  found |= {} if width == 16 else {'width': width}
  if not any(re.search(r'\.(shortcut|downsample)\.', name) for name in state):
    found['shortcut'] = 'padding'
  return found
