"""PyTorch's names and layouts for our parameters and statistics, and back.

Modules here are named as the papers' PyTorch modules, so that a conversion is a walk over
names: kernels are transposed, BatchNorm's four vectors get PyTorch's words. All of it is
exact, so weights survive a round trip bit for bit.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.errors import InputError

Tree = Any
State = dict[str, np.ndarray]

# Where training scripts keep the weights, the likeliest first.
WRAPPERS = (
  *('state_dict', 'net', 'model', 'model_state_dict', 'student', 'weights'),
  *('last', 'best'),
)
# What DataParallel, torch.compile and wrappers for normalisation put before every name.
PREFIXES = ('module.', '_orig_mod.', 'model.', 'net.', 'backbone.', 'basic_net.')
# In files, but not in networks: counters; the first group that TRADES' file has twice, a
# copy of a network under another name, scores of pruning.
UNUSED = re.compile(
  r'(^|\.)(num_batches_tracked$|sub_block1\.|model_preact_hl1\.|scores$)'
)
# Constants of a normalisation inside the network.
CONSTANTS = re.compile(r'(^|\.)(mu|mean|sigma|std)$')
# Names of the same thing in files of the same layout.
SYNONYMS = (('linear', 'fc'), ('shortcut', 'downsample'))
PARAM_WORDS = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'}
STAT_WORDS = {'mean': 'running_mean', 'var': 'running_var'}


class Unwrapped(NamedTuple):
  """The weights of a file, by the plain names of a network.

  Attributes:
    state: name -> array.
    constants: mean and std of a normalisation that the file has, by name.
    dropped: names that no network here has and none needs.
    wrapper: the keys that the weights were under, such as 'state_dict'.
    prefix: what stood before every name.
  """

  state: State
  constants: State
  dropped: tuple[str, ...]
  wrapper: str
  prefix: str


def unwrap(tree: Any, where: str) -> Unwrapped:
  """Finds the weights in what a file holds.

  Args:
    tree: nested dictionaries with arrays.
    where: the file's name, for messages.

  Raises:
    InputError: there is no dictionary of named arrays.
  """
  path: list[str] = []
  while isinstance(tree, Mapping) and not _is_state(tree):
    inside = [key for key in WRAPPERS if isinstance(tree.get(key), Mapping)]
    if not inside:
      break
    path.append(inside[0])
    tree = tree[inside[0]]
  if not isinstance(tree, Mapping) or not _is_state(tree):
    what = (
      f'a dictionary with {", ".join(map(repr, list(tree)[:6])) or "nothing"}'
      if isinstance(tree, Mapping)
      else f'a {type(tree).__name__}'
    )
    raise InputError(
      f'{where} holds {what}, but no weights; expected named tensors, bare or under one of '
      f'{", ".join(WRAPPERS)}'
    )
  state = {str(k): v for k, v in tree.items() if isinstance(v, np.ndarray)}
  prefix, state = _without_prefix(state)
  dropped = [name for name in state if UNUSED.search(name)]
  constants = {
    name.split('.')[-1]: array.ravel()
    for name, array in state.items()
    if CONSTANTS.search(name)
  }
  dropped += [name for name in state if CONSTANTS.search(name)]
  kept = {name: array for name, array in state.items() if name not in dropped}
  return Unwrapped(kept, constants, tuple(dropped), '.'.join(path), prefix)


def _is_state(tree: Mapping[str, Any]) -> bool:
  """Whether a dictionary is one of named arrays, with little else."""
  arrays = [v for v in tree.values() if isinstance(v, np.ndarray) and v.ndim]
  return len(arrays) > 1 and any(array.ndim > 1 for array in arrays)


def _without_prefix(state: State) -> tuple[str, State]:
  """Takes off what stands before the name of every weight, as often as something does."""
  taken = ''
  while True:
    own = [name for name in state if not CONSTANTS.search(name)]
    first = next((p for p in PREFIXES if all(n.startswith(p) for n in own)), '')
    if not first and own and all(name.startswith('1.') for name in own):
      first = '1.'
    if not first:
      return taken, state
    taken += first
    state = {name.removeprefix(first): array for name, array in state.items()}


def names_and_leaves(params: Tree, stats: Tree) -> Iterator[tuple[str, str, Any]]:
  """(PyTorch's name, kind of leaf, leaf) of every array of a network."""
  for tree, words in ((params, PARAM_WORDS), (stats, STAT_WORDS)):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
      *module, last = (str(part.key) for part in path)
      if last not in words:
        raise InputError(
          f'a network with {"/".join([*module, last])} has no PyTorch state_dict here; '
          'only convolutions, linear layers and BatchNorm have'
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
  return {
    '.'.join(words.get(part, part) for part in name.split('.')): array
    for name, array in state.items()
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
