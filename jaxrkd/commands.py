"""How a user starts a program: `jaxrkd NAME`, or a file of a checkout."""

import pathlib
import shlex
import sys
from collections.abc import Sequence

# Programs whose file in `launch/` has another name.
FILES = {'train': 'main'}


_started: list[str] = []


def remember(name: str, arguments: Sequence[str]) -> None:
  """Notes how this process was started: a program and its arguments."""
  _started[:] = [f'{command(name)} {shlex.join(arguments)}'.rstrip()]


def started() -> str:
  """The command of this process; '' where none was noted, such as in a notebook."""
  return _started[0] if _started else ''


def command(name: str) -> str:
  """How to start a program in the way this one was started.

  Args:
    name: of the program: 'train', 'evaluate', ...
  """
  started = pathlib.Path(sys.argv[0] if sys.argv else '')
  if started.suffix == '.py' and started.parent.name == 'launch':
    path = started.parent / f'{FILES.get(name, name)}.py'
    return f'python {shlex.quote(str(path))}'
  return f'jaxrkd {name}'
