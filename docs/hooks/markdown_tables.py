"""Markdown tables, and how values of configs are written in them."""

import re
from collections.abc import Sequence
from typing import Any


def value_text(value: Any, name: str = '') -> str:
  """A default as a reader types it: radii and steps in levels of 255."""
  if value in ('', None, (), [], {}):
    return 'none' if value is None else 'empty'
  if callable(value) or not isinstance(value, bool | int | float | str | tuple | list):
    return 'empty'
  if isinstance(value, list | tuple):
    return f'`{", ".join(map(str, value))}`'
  if isinstance(value, float):
    levels = round(value * 255, 6)
    if name.split('.')[-1] in ('eps', 'step_size') and levels == int(levels) > 0:
      return f'`{int(levels)}/255`'
    return f'`{value:g}`'
  return f'`{value}`'


def escaped(text: str) -> str:
  """One line, in which `<` begins no tag."""
  return ' '.join(text.split()).replace('<', '&lt;')


def table(lines: Sequence[Sequence[str]]) -> str:
  """A table whose first line is its head."""
  head, *rest = lines
  return '\n'.join(
    [
      f'| {" | ".join(head)} |',
      f'|{" --- |" * len(head)}',
      *(f'| {" | ".join(map(_cell, line))} |' for line in rest),
    ]
  )


def _cell(text: str) -> str:
  return re.sub(r'(?<!\\)[|]', '&#124;', text.replace('\n', ' '))
