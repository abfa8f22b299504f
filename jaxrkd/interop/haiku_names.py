"""DeepMind's Haiku names for the parameters of its WideResNet, as PyTorch's names."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.pickle_machine import Opaque
from jaxrkd.interop.state_dict import State

BLOCK = re.compile(r'resnet_lay_(\d+)_block_(\d+)/(?:~/)?(\w+)$')
LAYOUTS = {4: (3, 2, 0, 1), 2: (1, 0)}
NAME = 300
PLAIN = ('init_conv', 'batchnorm', 'logits')
PARAMS = {'w': 'weight', 'b': 'bias', 'scale': 'weight', 'offset': 'bias'}
AVERAGES = {'mean_ema': 'running_mean', 'var_ema': 'running_var'}


def to_torch_names(tree: Any, where: str) -> State:
  """The arrays of a Haiku (parameters, state) pair, named and laid out as PyTorch's.

  Running values are `average`, the moving averages after their bias has been taken out.

  Args:
    tree: a list of two dictionaries {module: {name: array}}.
    where: the file's name, for messages.

  Raises:
    InputError: anything else, or modules of another network.
  """
  if (
    not isinstance(tree, list)
    or len(tree) != 2
    or not all(isinstance(part, Mapping) for part in tree)
  ):
    raise InputError(
      f'{where} does not hold a pair of parameters and state; take a .npy file that '
      'DeepMind published'
    )
  params, state = tree
  for module, leaves in (*params.items(), *state.items()):
    if not isinstance(module, str) or not isinstance(leaves, Mapping):
      raise InputError(
        f'{where} has a module that is not a dictionary of named arrays; take the file '
        'that its authors published'
      )
    for name, array in leaves.items():
      if not isinstance(array, np.ndarray | np.generic):
        what = array.name if isinstance(array, Opaque) else type(array).__name__
        raise InputError(
          f'{where} has {f"{module}/{name}"[:NAME]!r} as {what}, which is not an array; '
          'take the file that its authors published'
        )
  found = {}
  for module, leaves in params.items():
    for name, array in leaves.items():
      if name not in PARAMS:
        raise InputError(
          f'{where} has {f"{module}/{name}"[:NAME]!r}, which no network of jaxrkd has; '
          'only a DeepMind WideResNet is converted'
        )
      found[f'{_module(module, where)}.{PARAMS[name]}'] = _to_torch(
        np.asarray(array), name
      )
  for module, leaves in state.items():
    parent, _, last = module.rpartition('/')
    if last in AVERAGES and 'average' in leaves:
      name = _module(parent.removesuffix('/~'), where)
      found[f'{name}.{AVERAGES[last]}'] = np.asarray(leaves['average']).ravel()
  return found


def _module(path: str, where: str) -> str:
  block = BLOCK.search(path)
  if block:
    group, index, name = block.groups()
    return f'layer.{group}.block.{index}.{name}'
  last = path.split('/')[-1]
  if last not in PLAIN:
    raise InputError(
      f'{where} has a module {path[:NAME]!r}, which a DeepMind WideResNet does not have '
      f'({", ".join(PLAIN)}, resnet_lay_G_block_B/...); only such networks are converted'
    )
  return last


def _to_torch(array: np.ndarray, name: str) -> np.ndarray:
  if name == 'w':
    return array.transpose(LAYOUTS.get(array.ndim))
  return array.ravel()
