"""Rows of the tables in which methods, attacks, networks and the like stand by name."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jaxrkd.errors import InputError, choose, nearest

Table = Mapping[str, Callable[..., Any]]


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
) -> dict[str, Any]:
  """A group that picks a row, with every option filled in.

  Args:
    node: `name` and some options.
    table: where the name is looked up.
    common: options that all rows have, and their defaults.
    where: the group, for messages.
    usual: the name, if the group has none.
    supplied: see `options`.

  Raises:
    InputError: an unknown name, or an option that its row does not have.
  """
  name = node.get('name', usual)
  allowed = {**common, **options(choose(table, name, f'{where}.name'), supplied)}
  unknown = [k for k in node if k != 'name' and k not in allowed]
  if unknown:
    raise InputError(
      f'{name!r} has no option {where}.{unknown[0]}{nearest(unknown[0], allowed)} '
      f'(its options: {", ".join(allowed) or "none"})'
    )
  return {'name': name, **allowed, **node}
