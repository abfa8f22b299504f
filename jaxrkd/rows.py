"""Rows of the tables in which methods, attacks, networks and the like stand by name."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

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
  if isinstance(target, type):
    # The metaclass of NNX modules hides the signature of the class itself.
    target = vars(target)['__init__']
  defaults = {
    name: parameter.default
    for name, parameter in inspect.signature(target).parameters.items()
    if parameter.default is not inspect.Parameter.empty and name not in supplied
  }
  return {**defaults, **fixed}


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
    InputError: an unknown name, or an option that its row does not have.
  """
  name = node.get('name', usual)
  allowed = {**common, **options(choose(table, name, f'{where}.name', OWN_ROW), supplied)}
  unknown = [k for k in node if k != 'name' and k not in allowed]
  if unknown:
    raise InputError(
      f'{name!r} has no option {where}.{unknown[0]}{hint(unknown[0], allowed)} '
      f'(its options: {", ".join(allowed) or "none"})'
    )
  return {'name': name, **allowed, **node}
