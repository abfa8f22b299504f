"""The weights in what a file holds: wrappers, prefixes and counters taken off, and told of."""

import collections
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.pickle_machine import Opaque
from jaxrkd.interop.state_dict import State
from jaxrkd.interop.torch_pickle import SAVE_AGAIN

# Where training scripts keep the weights, the likeliest first; averages of them last.
WRAPPERS = (
  *('state_dict', 'net', 'model', 'model_state_dict', 'student', 'weights'),
  *('last', 'best', 'state_dict_ema', 'ema_state_dict', 'model_ema', 'ema_model', 'ema'),
  *('swa_state_dict', 'swa_model', 'averaged_model'),
)
# What DataParallel, torch.compile, Lightning, averages and wrappers for normalisation put
# before every name.
PREFIXES = (
  *('module.', '_orig_mod.', 'model.', 'net.', 'network.', 'backbone.', 'basic_net.'),
  *('student.', 'teacher.', 'ema.', 'ema_model.', 'model_ema.', 'averaged_model.'),
  *('swa_model.', 'attacker.'),
)
# Parts of a file that are whole networks where all of its parts are, the likeliest first.
NETWORKS = (
  *('student', 'model', 'module', 'net', 'network', 'backbone', 'teacher', 'ema'),
  *('ema_model', 'model_ema', 'averaged_model', 'swa_model', 'attacker'),
)
# In files, but not in networks: counters; the first group that TRADES' file has twice, a
# copy of a network under another name, scores of pruning.
UNUSED = re.compile(
  r'(^|\.)(num_batches_tracked$|flag_update_statistics$|batch_num$|sub_block1\.|model_preact_hl1\.|scores$)'
)
# What Lightning's metrics count: whole numbers, and means beside their weight.
COUNTS = re.compile(r'(^|\.)(tp|fp|tn|fn|correct|total|confmat)$')
MEANS = ('mean_value', 'sum_value', 'value')
# Constants of a normalisation inside the network.
CONSTANTS = re.compile(
  r'(^|\.)(mu|sigma|means|stds|sds|(new_|image_|pixel_|data_|input_|norm_)?(mean|std))$'
)
CARD = 'jaxrkd'
# How deep weights are looked for; letters in a name; names in a message.
DEPTH, NAME, SHOWN = 6, 300, 4
# Networks in a list.
MEMBERS = 100


class Unwrapped(NamedTuple):
  """A network in a file, by the plain names of its weights.

  Attributes:
    state: name -> array.
    constants: what the file has of a normalisation, by its own names.
    dropped: the file's own names of what is no weight, or not wanted.
    wrapper: the keys that the weights were under, such as 'state_dict'.
    prefix: what stood before every name.
    notes: sentences on what was taken and what was left out.
  """

  state: State
  constants: State
  dropped: tuple[str, ...]
  wrapper: str
  prefix: str
  notes: tuple[str, ...]


def unwrap(
  tree: Any, where: str, key: str = '', ignore: Sequence[str] = ()
) -> list[Unwrapped]:
  """Finds the weights in what a file holds.

  Args:
    tree: nested dictionaries with arrays.
    where: the file's name, for messages.
    key: where they are, as 'ema.model': keys of dictionaries, then what names begin with;
      empty looks under the usual names.
    ignore: beginnings of names that are not wanted, with or without the prefix.

  Returns:
    The network in the file; several where there are parts that may each be it.

  Raises:
    InputError: there is no dictionary of named arrays, or an object among them or in its
      place that only code could read.
  """
  ignore = tuple(start for start in ignore if start)
  inside, path, part = _go(tree, where, key)
  inside, path = _descend(inside, path, where) if not part else (inside, path)
  if not isinstance(inside, Mapping) or not _is_state(inside):
    raise InputError(f'{where} {_no_weights(tree, inside, path)}')
  notes = [*_others(tree, path), *_objects(tree, path)]
  state, dropped = _named(inside, where, part, ignore, notes)
  constants = {name: array for name, array in state.items() if CONSTANTS.search(name)}
  counted = [name for name in state if _is_count(name, state)]
  if counted:
    notes.append(f'left out numbers that are no weights: {_list(counted)}')
  unused = [name for name in state if UNUSED.search(name)]
  dropped += [*dict.fromkeys([*counted, *unused, *constants])]
  gone, begin = {*dropped}, f'{part}.' if part else ''
  weights = {n.removeprefix(begin): a for n, a in state.items() if n not in gone}
  found = []
  networks = _networks(weights, begin, ignore)
  for one in networks:
    # Constants of another part are no business of this one.
    other = tuple(two.start for two in networks if not one.prefix.startswith(two.start))
    found.append(
      Unwrapped(
        one.state,
        {name: array for name, array in constants.items() if not name.startswith(other)},
        (*dropped, *one.ignored),
        '.'.join(path),
        one.prefix,
        tuple(notes),
      )
    )
  ignored = [name for one in networks for name in (*dropped, *one.ignored)]
  for start in ignore:
    if not any(f'.{start}' in f'.{name}' for name in ignored):
      notes.append(f'no name in the file begins with {start!r} (--ignore)')
  return [one._replace(notes=tuple(notes)) for one in found]


def _go(tree: Any, where: str, key: str) -> tuple[Any, list[str], str]:
  """What is under `key`, the keys on the way, and what its names have to begin with."""
  inside, path, rest = tree, [], key.strip('.')
  while rest and isinstance(inside, Mapping | list):
    entries = _entries(inside)
    fits = [name for name in entries if f'{rest}.'.startswith(f'{name}.') and name]
    if not fits:
      break
    # 'a.b' may be one key.
    longest = max(fits, key=len)
    inside, rest = entries[longest], rest[len(longest) + 1 :]
    path.append(longest)
  if isinstance(inside, Opaque):
    raise InputError(f'{where} {_is_object(".".join(path), inside)}')
  names = [name for name in _entries(inside) if name.startswith(f'{rest}.')]
  if rest and not (names and _is_state(inside)):
    hints, entries = _hints(tree), _entries(inside)
    # Numbers and texts hold no weights, and what is a hint is said already.
    more = [n for n, v in entries.items() if isinstance(v, Mapping | list | np.ndarray)]
    known = [*hints, *(repr(n[:NAME]) for n in more if f'--key={n}' not in hints)]
    raise InputError(
      f'{where} has nothing under {key!r}; known are {", ".join(known[:SHOWN]) or "none"}'
    )
  return inside, path, rest


def _entries(tree: Any) -> dict[str, Any]:
  """What is in a container, by texts; long lists are numbers and not networks."""
  if isinstance(tree, list) and len(tree) <= MEMBERS:
    return {str(index): value for index, value in enumerate(tree)}
  if not isinstance(tree, Mapping):
    return {}
  return {str(k): value for k, value in tree.items() if not isinstance(k, Opaque)}


def _descend(inside: Any, path: list[str], where: str) -> tuple[Any, list[str]]:
  """Goes through the usual wrappers."""
  while isinstance(inside, Mapping) and not _is_state(inside):
    # A dictionary of options may have the name of a wrapper.
    usual = [
      name
      for name in WRAPPERS
      if isinstance(inside.get(name), Opaque) or any(_states(inside.get(name)))
    ]
    if not usual:
      break
    path, inside = [*path, usual[0]], inside[usual[0]]
    if isinstance(inside, Opaque):
      raise InputError(f'{where} {_is_object(".".join(path), inside)}')
  return inside, path


def _is_object(path: str, found: Opaque) -> str:
  return (
    f'was not read: for {path[:NAME]!r} its pickle asks for {found.name}, which is code or an '
    f'object and not a tensor; {SAVE_AGAIN}, or name other weights in it (--key)'
  )


def _no_weights(tree: Any, inside: Any, path: list[str]) -> str:
  names = [repr(str(name)[:NAME]) for name in _entries(inside)]
  what = (
    f'a dictionary with {", ".join(names[:6]) or "nothing"}'
    if isinstance(inside, Mapping)
    else f'a {type(inside).__name__}'
  )
  under = f' under {".".join(path)[:NAME]!r}' if path else ''
  hints = _hints(tree)
  hint = f'; it has named tensors elsewhere: {", ".join(hints[:SHOWN])}' if hints else ''
  return (
    f'holds {what}{under}, but no weights; expected named tensors at the top, under one '
    f'of {", ".join(WRAPPERS)}, or under the --key that you give{hint}'
  )


def _hints(tree: Any) -> list[str]:
  return [f'--key={_shown(".".join(path))}' for path, _ in _states(tree) if path]


def _shown(name: str) -> str:
  return repr(name[:NAME])[1:-1]


def _is_state(tree: Mapping[str, Any]) -> bool:
  """Whether a dictionary is one of named arrays, with little else."""
  arrays = [v for v in tree.values() if isinstance(v, np.ndarray) and v.ndim]
  return len(arrays) > 1 and any(array.ndim > 1 for array in arrays)


def _states(tree: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
  """Dictionaries of named arrays anywhere in a file, each once, and the keys to them."""
  seen = set()
  left: collections.deque[tuple[tuple[str, ...], Any]] = collections.deque([((), tree)])
  while left:
    path, value = left.popleft()
    if id(value) in seen or not isinstance(value, Mapping | list):
      continue
    seen.add(id(value))
    entries = _entries(value)
    # Optimisers have dictionaries of arrays, too.
    named = any(name.endswith('weight') and name.isprintable() for name in entries)
    if named and isinstance(value, Mapping) and _is_state(value):
      yield path, value
    if len(path) < DEPTH:
      left += [((*path, name), inside) for name, inside in entries.items()]


def _others(tree: Any, path: list[str]) -> Iterator[str]:
  """What to say where a file has more than one dictionary of weights."""
  others = ['.'.join(other) for other, _ in _states(tree) if other != tuple(path)]
  if others:
    took = f'the weights under {".".join(path)!r}' if path else 'the outermost weights'
    flags = _list([f'--key={other}' for other in others])
    yield f'took {took}; there are others in the file ({flags})'


def _objects(tree: Any, path: list[str]) -> Iterator[str]:
  """What to say of objects beside the weights."""
  found: list[str] = []
  seen = set()
  left: list[tuple[tuple[str, ...], Any]] = [((), tree)]
  while left:
    keys, value = left.pop()
    if isinstance(value, Opaque):
      found.append(f'{".".join(keys)} ({value.name})')
    elif isinstance(value, Mapping | list) and id(value) not in seen:
      seen.add(id(value))
      if keys != tuple(path):
        left += [((*keys, name), inside) for name, inside in _entries(value).items()]
  if found:
    yield f'left out objects without reading them: {_list(found[::-1])}'


def _list(names: Sequence[str]) -> str:
  shown = [_shown(name) for name in names[:SHOWN]]
  return ', '.join(shown + ([f'{len(names) - SHOWN} more'] if len(names) > SHOWN else []))


def _named(
  tree: Mapping[Any, Any],
  where: str,
  part: str,
  ignore: tuple[str, ...],
  notes: list[str],
) -> tuple[State, list[str]]:
  """The arrays of a dictionary by the file's own names, and the names of all else."""
  state, dropped, outside, beside = {}, [], {}, []
  for name, value in tree.items():
    own = name.name if isinstance(name, Opaque) else str(name)
    if part and not own.startswith(f'{part}.'):
      outside[own] = value
    elif own.startswith(ignore):
      dropped.append(own)
    elif isinstance(value, Opaque) or isinstance(name, Opaque):
      what = value if isinstance(value, Opaque) else name
      raise InputError(
        f'{where} was not read: among its weights is {own[:NAME]!r}, for which the pickle asks '
        f'for {what.name}, an object and not a tensor; {SAVE_AGAIN}, or leave it out '
        f'(--ignore={own[:NAME]!r})'
      )
    elif not isinstance(name, str) or not isinstance(value, np.ndarray):
      beside.append(own)
    elif len(own) > NAME or not own.isprintable():
      raise InputError(
        f'{where} is damaged: it names weights {own[:NAME]!r}; download or copy it again'
      )
    else:
      state[own] = value
  state |= _shared(outside, part)
  left = [name for name in outside if name not in state]
  if left:
    notes.append(f'left out what is not under {part!r}: {_list(left)}')
  told = [name for name in beside if name != CARD]
  if told:
    notes.append(f'left out what is no tensor: {_list(told)}')
  return state, [*dropped, *left, *told]


def _shared(outside: Mapping[str, Any], part: str) -> State:
  """Constants that are not in a part of a file, but in no other network either."""
  found = {}
  for name, value in outside.items():
    if isinstance(value, np.ndarray) and CONSTANTS.search(name):
      words, pairs = name.split('.'), zip(name.split('.'), part.split('.'))
      common = itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
      head = '.'.join(words[: len(list(common)) + 1]) + '.'
      if not any(n.startswith(head) and not CONSTANTS.search(n) for n in outside):
        found[name] = value
  return found


def _is_count(name: str, state: State) -> bool:
  """Whether an array counts or measures something and belongs to no layer."""
  array, (parent, _, word) = state[name], name.rpartition('.')
  if name.endswith('num_batches_tracked'):
    return False  # told apart: there are as many as layers
  if array.dtype.kind in 'iub':
    return array.ndim == 0 or bool(COUNTS.search(name))
  means = [f'{parent}.{mean}' for mean in MEANS if f'{parent}.{mean}' in state]
  return array.ndim == 0 and bool(parent and means) and word in ('weight', *MEANS)


class _Part(NamedTuple):
  """A network among names: what it begins with, all that stood before its names, the rest."""

  start: str
  prefix: str
  state: State
  ignored: tuple[str, ...]


def _networks(state: State, prefix: str, ignore: tuple[str, ...]) -> list[_Part]:
  """Takes off what stands before the name of every weight, and parts that are networks."""
  ignored: list[str] = []
  while True:
    ignored += [prefix + name for name in state if name.startswith(ignore)]
    state = {name: array for name, array in state.items() if not name.startswith(ignore)}
    first = next(
      (p for p in PREFIXES if state and all(n.startswith(p) for n in state)), ''
    )
    if not first and state and all(name.startswith('1.') for name in state):
      first = '1.'
    if not first:
      break
    prefix += first
    state = {name.removeprefix(first): array for name, array in state.items()}
  heads = {name.partition('.')[0] for name in state if '.' in name}
  if len(heads) < 2 or not heads <= {*NETWORKS} or not all('.' in name for name in state):
    return [_Part(prefix, prefix, state, tuple(ignored))]
  found = []
  for head in sorted(heads, key=NETWORKS.index):
    start = f'{head}.'
    part = {n.removeprefix(start): a for n, a in state.items() if n.startswith(start)}
    for one in _networks(part, prefix + start, ignore):
      gone = (*ignored, *one.ignored)
      found.append(one._replace(start=prefix + start, ignored=gone))
  return found
