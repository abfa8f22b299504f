"""Where arrays of decoded images are kept, and how they get there whole."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

# Names the folder.
VARIABLE, USUAL = 'JAXRKD_CACHE', '~/.cache/jaxrkd/images'
ARRAY, RECORD = 'images.npy', 'record.json'


def cache() -> pathlib.Path:
  """The folder, made where it is not there.

  Raises:
    InputError: it cannot be written.
  """
  place = expanded(os.environ.get(VARIABLE) or USUAL)
  try:
    place.mkdir(parents=True, exist_ok=True)
    if not os.access(place, os.W_OK):
      raise PermissionError('it is read-only')
  except OSError as error:
    raise _refusal(place, error) from error
  return place


def kept(folder: pathlib.Path) -> tuple[np.ndarray, dict[str, Any]] | None:
  """The array, on disk, and what was noted of it; None where they are not there."""
  try:
    array = np.load(folder / ARRAY, mmap_mode='r', allow_pickle=False)
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding='utf-8'))
  except (OSError, ValueError, EOFError):
    return None
  if array.dtype != np.uint8 or array.ndim != 4 or not isinstance(record, dict):
    return None
  return array, record


def file_signature(path: pathlib.Path) -> list[Any]:
  """What changes when a file does, or when files change places: as JSON has it."""
  stat = path.stat()
  facts = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
  return [str(path.absolute()), *facts]


@contextlib.contextmanager
def keeping(
  folder: pathlib.Path, shape: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
  """Gives an array on disk and a record to fill; both are in place after the block.

  What other processes see is whole: the folder gets its name in the end.

  Args:
    folder: it shall have this name.
    shape: of the uint8 array.

  Raises:
    InputError: it cannot be written.
  """
  try:
    part = pathlib.Path(tempfile.mkdtemp(prefix='part-', dir=folder.parent))
  except OSError as error:
    raise _refusal(folder.parent, error) from error
  try:
    array = np.lib.format.open_memmap(part / ARRAY, 'w+', np.uint8, shape)
    record: dict[str, Any] = {}
    yield array, record
    array.flush()
    (part / RECORD).write_text(json.dumps(record), encoding='utf-8')
    _put(part, folder)
  except OSError as error:
    raise _refusal(folder.parent, error) from error
  finally:
    shutil.rmtree(part, ignore_errors=True)


def _put(part: pathlib.Path, folder: pathlib.Path) -> None:
  """Moves a finished folder to its place."""
  try:
    os.replace(part, folder)
  except OSError:
    # What is there is another process's, just as good, or what was not whole.
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _refusal(place: pathlib.Path, error: OSError) -> InputError:
  return InputError(
    f'decoded images cannot be kept in {str(place)!r} ({error}); name another folder as '
    f'{VARIABLE}'
  )
