"""How a user starts a program: `jaxrkd NAME`, or a file of a checkout."""

import pathlib
import sys

# Programs whose file in `launch/` has another name.
FILES = {'train': 'main'}


def command(name: str) -> str:
  """How to start a program in the way this one was started.

  Args:
    name: of the program: 'train', 'evaluate', ...
  """
  started = pathlib.Path(sys.argv[0] if sys.argv else '')
  if started.suffix == '.py' and started.parent.name == 'launch':
    return f'python {started.parent / FILES.get(name, name)}.py'
  return f'jaxrkd {name}'
