"""What docstrings say of the rows of tables, and of the options that each row has."""

import ast
import functools
import inspect
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from markdown_tables import table, value_text

from jaxrkd import attacks
from jaxrkd.experiment.tables import options

# A row of a table, whose options a config may set.
Row = Callable[..., Any]


def rows(of: Mapping[str, Row], head: str = '##') -> Iterator[str]:
  """A section for each row: what it is, and a table of its options."""
  for name in of:
    yield f'{head} {name}'
    yield _text(of[name])
    told = _options(of[name])
    if told:
      yield told


def _text(row: Row) -> str:
  """What a row is: its docstring up to the arguments."""
  told = inspect.getdoc(_function(row)) or ''
  told = re.split(r'\n\n?(?:Args|Attributes|Raises|Returns):', told)[0]
  # A formula that is indented would be a list to some readers, and code to others.
  return re.sub(r'[ ,;]*[Aa]rguments as `\w+`[^.]*\.?', '.', told).replace('..', '.')


def _options(row: Row) -> str:
  told = arguments(row)
  lines = [
    [f'`{name}`', value_text(value, name), told.get(name, '')]
    for name, value in options(row).items()
  ]
  return table([['option', 'default', 'meaning'], *lines]) if lines else ''


def arguments(row: Row) -> dict[str, str]:
  """What the docstring of a row says of each argument, also by naming another function."""
  function = _function(row)
  told = (inspect.getdoc(function) or '') if function is not None else ''
  found: dict[str, str] = {}
  for other in re.findall(r'[Aa]rguments as `(\w+)`', told):
    found |= arguments(_named(function, other))
  section = re.search(r'^(?:Args|Attributes):\n((?:  .*\n?|\n)*)', told, re.MULTILINE)
  if section:
    lines = re.findall(
      r'^  (\w+(?:, \w+)*): ((?:.*)(?:\n    .*)*)', section[1], re.MULTILINE
    )
    for given, text in lines:
      for name in given.split(', '):
        found[name] = ' '.join(text.split())
  for name, text in found.items():
    also = re.match(r'see `(?:\w+\.)?(\w+)`(.*)', text)
    if also:
      elsewhere = arguments(_named(function, also[1])).get(name, '')
      found[name] = f'{elsewhere.rstrip(".")}{also[2]}' if elsewhere else text
  return found


def _named(function: Any, name: str) -> Any:
  """The function that a docstring names; None where it names something else."""
  module = inspect.getmodule(inspect.unwrap(function))
  homes = [module, attacks, *(vars(module).values())]
  for home in homes:
    found = vars(home).get(name) if inspect.ismodule(home) else None
    if callable(found):
      return found
  return None


def _function(row: Any) -> Any:
  return row.func if isinstance(row, functools.partial) else row


def file_docstring(path: pathlib.Path) -> str:
  """What a file says of itself: its first line, and the rest as it stands."""
  told = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
  head, _, rest = told.partition('\n\n')
  return f'{head}\n\n```text\n{rest}\n```' if rest else head
