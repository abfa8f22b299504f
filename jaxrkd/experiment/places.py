"""Where a config's paths lead: the same wherever it is read again."""

import pathlib
from collections.abc import Callable
from typing import Any

from jaxrkd import paths


def absolute_paths(config: dict[str, Any]) -> None:
  """Makes every path in a config absolute, those of its teachers' own configs included.

  A run keeps its config: it is measured, and teaches, from other folders later.

  Args:
    config: as `ConfigDict.to_dict` gives it, whole or of another version; is changed.
  """
  _each(config, paths.absolute_text)


def without_folders(config: dict[str, Any]) -> None:
  """Leaves the last name of every path: what a file that is passed on may tell.

  Args:
    config: see `absolute_paths`.
  """
  _each(config, lambda text: pathlib.PurePath(text).name)


def _each(config: dict[str, Any], change: Callable[[str], str]) -> None:
  for group, key in (('data', 'path'), ('extra', 'path')):
    _replace(config.get(group), key, change)
  for column in _rows(_part(config, 'evaluation').get('attacks')):
    # Without a / it is the name of a teacher; those with one are paths.
    name = column.get('surrogate')
    if isinstance(name, str) and '/' in name and name not in _part(config, 'teachers'):
      _replace(column, 'surrogate', change)
  for entry in _rows(config.get('teachers')):
    for key in ('workdir', 'file'):
      _replace(entry, key, change)
    _each(_part(entry, 'config'), change)


def _part(node: dict[str, Any], key: str) -> dict[str, Any]:
  found = node.get(key)
  return found if isinstance(found, dict) else {}


def _rows(node: Any) -> list[dict[str, Any]]:
  return (
    [row for row in node.values() if isinstance(row, dict)]
    if isinstance(node, dict)
    else []
  )


def _replace(node: Any, key: str, change: Callable[[str], str]) -> None:
  if isinstance(node, dict) and isinstance(node.get(key), str):
    node[key] = change(node[key])
