"""PyTorch's names and layouts for our parameters and statistics, and back.

Modules here are named as the papers' PyTorch modules, so that a conversion is a walk over
names: kernels are transposed, BatchNorm's four vectors get PyTorch's words. All of it is
exact, so weights survive a round trip bit for bit.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.errors import InputError

Tree = Any
State = dict[str, np.ndarray]

# Names of the same thing in files of the same layout.
SYNONYMS = (('linear', 'fc'), ('shortcut', 'downsample'))
# Weights of transformers that are no layer's.
ALONE = ('cls_token', 'gamma1', 'gamma2', 'gamma3', 'temperature')
PARAM_WORDS = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  **{name: name for name in ALONE},
}
STAT_WORDS = {'mean': 'running_mean', 'var': 'running_var', 'threshold': 'threshold'}


def names_and_leaves(params: Tree, stats: Tree) -> Iterator[tuple[str, str, Any]]:
  """(PyTorch's name, kind of leaf, leaf) of every array of a network."""
  for tree, words in ((params, PARAM_WORDS), (stats, STAT_WORDS)):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
      *module, last = (str(part.key) for part in path)
      if last not in words:
        raise InputError(
          f'a network with {"/".join([*module, last])} cannot become a PyTorch '
          'state_dict; only convolutions, linear layers and BatchNorm can'
        )
      yield '.'.join([*module, words[last]]), last, leaf


def to_state_dict(params: Tree, stats: Tree) -> State:
  """Parameters and statistics under PyTorch's names and in its layouts.

  Raises:
    InputError: a network with other layers than PyTorch's counterparts have.
  """
  return {
    name: _to_torch(kind, np.asarray(leaf))
    for name, kind, leaf in names_and_leaves(params, stats)
  }


def from_state_dict(state: State, params: Tree, stats: Tree) -> tuple[Tree, Tree]:
  """Fills trees of the same structure from a state_dict that has every name.

  Args:
    state: from `unwrap` and `fit`.
    params: arrays or `jax.ShapeDtypeStruct`s; says structure and types.
    stats: likewise.
  """
  found = {
    name: _from_torch(kind, state[name]).astype(leaf.dtype)
    for name, kind, leaf in names_and_leaves(params, stats)
  }
  filled = []
  for tree, words in ((params, PARAM_WORDS), (stats, STAT_WORDS)):
    leaves = []
    for path, _ in jax.tree_util.tree_leaves_with_path(tree):
      *module, last = (str(part.key) for part in path)
      leaves.append(found['.'.join([*module, words[last]])])
    filled.append(jax.tree.unflatten(jax.tree.structure(tree), leaves))
  return filled[0], filled[1]


class Fit(NamedTuple):
  """How the names and shapes of a file suit a network.

  Attributes:
    state: the file's arrays under the network's names.
    missing: names that the network has and the file lacks.
    unused: names that the file has and the network lacks.
    misshapen: 'name: shape in the file, shape in the network'.
  """

  state: State
  missing: tuple[str, ...]
  unused: tuple[str, ...]
  misshapen: tuple[str, ...]

  @property
  def whole(self) -> bool:
    return not (self.missing or self.unused or self.misshapen)


def fit(state: State, params: Tree, stats: Tree) -> Fit:
  """Holds a file's names and shapes against a network's.

  Names that differ by `SYNONYMS` alone are taken as the network has them.
  """
  wanted = {
    name: _torch_shape(kind, leaf.shape)
    for name, kind, leaf in names_and_leaves(params, stats)
  }
  state = _renamed(state, wanted)
  both = [name for name in wanted if name in state]
  return Fit(
    {name: state[name] for name in both},
    tuple(name for name in wanted if name not in state),
    tuple(name for name in state if name not in wanted),
    tuple(
      f'{name}: {list(state[name].shape)} in the file, {list(wanted[name])} in the network'
      for name in both
      if tuple(state[name].shape) != wanted[name]
    ),
  )


def _renamed(state: State, wanted: Iterable[str]) -> State:
  parts = {part for name in wanted for part in name.split('.')}
  words = {
    theirs: ours
    for pair in SYNONYMS
    for ours, theirs in (pair, pair[::-1])
    if ours in parts and theirs not in parts
  }
  renamed = {
    name: '.'.join(words.get(part, part) for part in name.split('.')) for name in state
  }
  # A second head is not the first one under another name.
  return {
    name if ours != name and ours in state else ours: state[name]
    for name, ours in renamed.items()
  }


def _to_torch(kind: str, array: np.ndarray) -> np.ndarray:
  if kind != 'kernel':
    return array
  return np.ascontiguousarray(
    array.transpose((3, 2, 0, 1) if array.ndim == 4 else (1, 0))
  )


def _from_torch(kind: str, array: np.ndarray) -> np.ndarray:
  if kind != 'kernel':
    return array
  return np.ascontiguousarray(
    array.transpose((2, 3, 1, 0) if array.ndim == 4 else (1, 0))
  )


def _torch_shape(kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
  if kind != 'kernel':
    return tuple(shape)
  order = (3, 2, 0, 1) if len(shape) == 4 else (1, 0)
  return tuple(shape[axis] for axis in order)
