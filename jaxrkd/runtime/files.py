"""Small files written so that a kill leaves the old one or the new one, never half."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.runtime.guards import check_own


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes `value` as indented JSON.

  Raises:
    InputError: the disk is full, or the folder cannot be written to.
  """
  write_text(path, json.dumps(value, indent=2) + '\n')


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a text as UTF-8, whatever the locale; raises as `write_json`."""
  with replacing(path) as temporary:
    # Names of files that the locale could not read are written as the bytes they are.
    temporary.write_text(text, encoding='utf-8', errors='surrogateescape')


def write_npz(
  path: pathlib.Path, arrays: dict[str, np.ndarray], compress: bool = True
) -> None:
  """Writes named arrays; raises as `write_json`."""
  save = np.savez_compressed if compress else np.savez
  with replacing(path) as temporary, temporary.open('wb') as file:
    save(file, allow_pickle=False, **arrays)


def make_folder(path: pathlib.Path) -> None:
  """Makes a folder and those above it; raises as `write_json`."""
  with writing(path):
    path.mkdir(parents=True, exist_ok=True)


def check_writable(folder: pathlib.Path) -> None:
  """Makes a folder and raises `InputError` if no file can be written into it."""
  with replacing(folder / '.writable') as temporary:
    temporary.touch()
  (folder / '.writable').unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """A temporary file that takes the place of `path` once it is complete.

  Raises:
    InputError: see `writing`; `path` is as it was.
  """
  # One name, so that what a kill leaves behind is overwritten.
  temporary = path.with_name(f'.{path.name}.tmp')
  with writing(path):
    check_own(path)
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
      yield temporary
      os.replace(temporary, path)
    except OSError:
      with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
      raise


@contextlib.contextmanager
def writing(
  path: pathlib.Path, kept: str = 'what was written before is kept'
) -> Iterator:
  """What the system says of a path that cannot be written, in one sentence.

  Args:
    path: what is written.
    kept: what a user still has.

  Raises:
    InputError: the disk is full, something is in the way, or writing is not allowed.
  """
  try:
    yield
  except (OSError, UnicodeEncodeError) as error:
    # The latter is a name that the locale cannot write.
    reason = getattr(error, 'strerror', None) or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
      reason = _in_the_way(path) or reason
    raise cannot_write(path, reason, kept) from error


def cannot_write(path: pathlib.Path, reason: str, kept: str) -> InputError:
  """The error of `writing`."""
  return InputError(
    f'cannot write {str(path)!r}: {reason}; {kept}, so make room or choose a folder that can '
    'be written to, and run the same command again'
  )


def kept(checkpoints: pathlib.Path) -> str:
  """Says which checkpoint a user still has, for `writing`.

  Args:
    checkpoints: the folder of one kind.
  """
  with contextlib.suppress(OSError):
    steps = [int(part.name) for part in checkpoints.iterdir() if part.name.isdigit()]
    if steps:
      return f'the checkpoint of step {max(steps)} is kept'
  return 'no checkpoint had been written'


def _in_the_way(path: pathlib.Path) -> str:
  """Names a file where a folder should be; empty if there is none."""
  every = (path, *path.parents)
  file = next((part for part in every if part.exists() and not part.is_dir()), None)
  return f'{str(file)!r} is a file' if file else ''
