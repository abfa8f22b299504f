"""Rows of the tables in which methods, attacks, networks and the like stand by name."""

import functools
import inspect
import numbers
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxrkd.errors import OWN_ROW, InputError, choose, nearest

Table = Mapping[str, Callable[..., Any]]


class Joined(Mapping[str, Callable[..., Any]]):
  """Several tables as one; rows that come later, from plugins, are there, too."""

  def __init__(self, *tables: Table):
    self._tables = tables

  def __getitem__(self, name: str) -> Callable[..., Any]:
    return next((t[name] for t in self._tables if name in t), None) or _missing(name)

  def __iter__(self) -> Iterator[str]:
    return iter(dict.fromkeys(name for table in self._tables for name in table))

  def __len__(self) -> int:
    return len(list(iter(self)))


class WithoutOptions(Mapping[str, Callable[..., Any]]):
  """The names of a table whose rows are not built but taken as they are."""

  def __init__(self, table: Mapping[str, Any]):
    self._table = table

  def __getitem__(self, name: str) -> Callable[..., Any]:
    return _nothing if name in self._table else _missing(name)

  def __iter__(self) -> Iterator[str]:
    return iter(self._table)

  def __len__(self) -> int:
    return len(self._table)


def _missing(name: str) -> Any:
  raise KeyError(name)


def _nothing() -> None:
  """A row without options."""


def options(row: Callable[..., Any], supplied: Collection[str] = ()) -> dict[str, Any]:
  """The keyword arguments of a table's row and their defaults.

  Args:
    row: a function, a class, or a partial of one.
    supplied: arguments that are none of its options.
  """
  fixed = row.keywords if isinstance(row, functools.partial) else {}
  target = row.func if isinstance(row, functools.partial) else row
  defaults = {
    name: parameter.default
    for name, parameter in _signature(target).parameters.items()
    if parameter.default is not inspect.Parameter.empty and name not in supplied
  }
  return {**defaults, **fixed}


def build(
  table: Table,
  name: str,
  what: str,
  returns: Any,
  given: Sequence[Any] = (),
  chosen: Mapping[str, Any] | None = None,
) -> Any:
  """What a row makes of its options, be it a row of one's own.

  Args:
    table: where the name is looked up.
    name: of the row.
    what: a row is, for messages.
    returns: the class, or classes, of what it makes.
    given: what the row takes beside its options, such as the threat of an attack.
    chosen: its options.

  Raises:
    InputError: no such row, one that cannot be called so, or one that makes another thing.
  """
  row = choose(table, name, what, OWN_ROW)
  chosen = chosen or {}
  try:
    _signature(row).bind(*given, **chosen)
  except TypeError as error:
    raise InputError(
      f'{what} {name!r} cannot be built: {error}; a row takes {len(given)} arguments in '
      'order and gives each of its options a default'
    ) from error
  made = row(*given, **chosen)
  if not isinstance(made, returns):
    raise InputError(
      f'{what} {name!r} returned {type(made).__name__}, and must return {_named(returns)}'
    )
  return made


def _named(kinds: Any) -> str:
  return getattr(kinds, '__name__', None) or str(kinds)


def _signature(row: Callable[..., Any]) -> inspect.Signature:
  return (_kept_signature if isinstance(row, Hashable) else _read_signature)(row)


def _read_signature(row: Callable[..., Any]) -> inspect.Signature:
  if not isinstance(row, type):
    return inspect.signature(row)
  # The metaclass of NNX modules hides the signature of the class itself.
  taken = inspect.signature(row.__init__)  # type: ignore[misc]
  return taken.replace(parameters=list(taken.parameters.values())[1:])


# A config asks for some thirty, and a study resolves thousands of configs.
_kept_signature = functools.lru_cache(maxsize=1024)(_read_signature)


def completed(
  node: Mapping[str, Any],
  table: Table,
  common: Mapping[str, Any],
  where: str,
  usual: str = '',
  supplied: Collection[str] = (),
  hint: Callable[[str, Collection[str]], str] = nearest,
) -> dict[str, Any]:
  """A group that picks a row, with every option filled in.

  Args:
    node: `name` and some options.
    table: where the name is looked up.
    common: options that all rows have, and their defaults.
    where: the group, for messages.
    usual: the name, if the group has none.
    supplied: see `options`.
    hint: (unknown option, those that there are) -> what may have been meant.

  Raises:
    InputError: an unknown name, an option that its row does not have, or a text where it
      takes a number.
  """
  name = node.get('name', usual)
  allowed = {**common, **options(choose(table, name, f'{where}.name', OWN_ROW), supplied)}
  unknown = [k for k in node if k != 'name' and k not in allowed]
  if unknown:
    raise InputError(
      f'{name!r} has no option {where}.{unknown[0]}{hint(unknown[0], allowed)} '
      f'(its options: {", ".join(allowed) or "none"})'
    )
  for key in node:
    _check_kind(node[key], allowed.get(key), f'{where}.{key}')
  return {'name': name, **allowed, **node}


def _check_kind(value: Any, default: Any, what: str) -> None:
  """Refuses what is no number, or no truth value, where the default is one.

  None stays a row's own business, as do the ranges of numbers.
  """
  if not isinstance(default, bool | int | float) or value is None:
    return
  if isinstance(default, bool):
    # Numbers were taken for truth values before.
    fits, kind = isinstance(value, bool | int | np.bool_), 'true or false'
  else:
    fits, kind = isinstance(value, numbers.Real), 'a number'
  if not fits:
    raise InputError(f'{what} is {value!r} and takes {kind}')
