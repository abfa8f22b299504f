"""The one error a user may cause, and the sentence it is told in.

Programs (`programs/`) print an `InputError` as a single line and exit with status 2;
any other exception is a defect of jaxrkd and keeps its traceback.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

T = TypeVar('T')


class InputError(ValueError):
  """What the user gave cannot be used: names the value, what is allowed, what to do."""


def nearest(name: str, allowed: Iterable[str]) -> str:
  """Returns "; did you mean 'x'?" for the closest allowed name, or an empty string."""
  close = difflib.get_close_matches(str(name), [str(a) for a in allowed], n=1, cutoff=0.5)
  return f'; did you mean {close[0]!r}?' if close else ''


# Of tables to which anyone may add a row.
OWN_ROW = (
  '; one of your own comes with --plugins=FILE, or in Python by importing its file'
)


def choose(table: Mapping[str, T], name: str, what: str, more: str = '') -> T:
  """Looks `name` up in `table`.

  Args:
    table: by name.
    name: of a row.
    what: a row is, for messages.
    more: that may be said of other names, such as `OWN_ROW`.

  Raises:
    InputError: no such name; says what exists and which name is closest.
  """
  if name not in table:
    known = ', '.join(sorted(table))
    raise InputError(
      f'unknown {what} {name!r}{nearest(name, table)}{more} (known: {known})'
    )
  return table[name]


def one_of(value: T, allowed: Collection[T], what: str) -> T:
  """Returns `value` if it is among `allowed`, else raises `InputError`."""
  if value not in allowed:
    known = ', '.join(repr(a) for a in allowed)
    hint = nearest(str(value), [str(a) for a in allowed])
    raise InputError(f'{what} is {value!r}{hint} (allowed: {known})')
  return value


def in_range(value: float, low: float, high: float, what: str) -> float:
  """Returns `value` if low <= value <= high, else raises `InputError`."""
  # Written so that NaN fails too; infinity is never a sensible option.
  if not low <= value <= high or value == float('inf'):
    allowed = (
      f'between {low:g} and {high:g}' if high < float('inf') else f'{low:g} or more'
    )
    finite = ', and finite' if value == float('inf') else ''
    raise InputError(f'{what} is {value}; it must be {allowed}{finite}')
  return value


def above_zero(value: float, what: str) -> float:
  """Returns `value` if it is above 0, else raises `InputError`."""
  if not 0 < value < float('inf'):
    raise InputError(f'{what} is {value}; it must be above 0')
  return value


def whole_number(value: int, least: int, what: str) -> int:
  """Returns `value` if it is a whole number of at least `least`, else raises `InputError`."""
  # numpy's integers are welcome.
  whole = hasattr(value, '__index__') and not isinstance(value, bool)
  if not whole or value < least:
    raise InputError(
      f'{what} is {value!r}; it must be a whole number of at least {least}'
    )
  return value
