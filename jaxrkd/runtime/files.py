"""Small files written so that a kill leaves the old one or the new one, never half."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxrkd.errors import InputError


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes `value` as indented JSON.

  Raises:
    InputError: the disk is full, or the folder cannot be written to.
  """
  with replacing(path) as temporary:
    temporary.write_text(json.dumps(value, indent=2) + '\n')


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a text; raises as `write_json`."""
  with replacing(path) as temporary:
    temporary.write_text(text)


def write_npz(
  path: pathlib.Path, arrays: dict[str, np.ndarray], compress: bool = True
) -> None:
  """Writes named arrays; raises as `write_json`."""
  save = np.savez_compressed if compress else np.savez
  with replacing(path) as temporary, temporary.open('wb') as file:
    save(file, allow_pickle=False, **arrays)


def check_writable(folder: pathlib.Path) -> None:
  """Makes a folder and raises `InputError` if no file can be written into it."""
  with replacing(folder / '.writable') as temporary:
    temporary.write_text('')
  (folder / '.writable').unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """A temporary file that takes the place of `path` once it is complete."""
  # One name, so that what a kill leaves behind is overwritten.
  temporary = path.with_name(f'.{path.name}.tmp')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield temporary
    os.replace(temporary, path)
  except OSError as error:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)
    raise InputError(
      f'cannot write {str(path)!r}: {error.strerror or error}; what was written before is '
      'kept, so make room or choose a folder that can be written to, and run the same '
      'command again'
    ) from error
