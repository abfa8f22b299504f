"""Rows of arrays that stay in files: .npy files, and .npz files that are not compressed."""

import contextlib
import os
import pathlib
import struct
import threading
import weakref
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from jaxrkd.errors import InputError

# Of a local file header in a zip archive: its length, and where two lengths lie.
ZIP_HEADER, ZIP_LENGTHS = 30, 26
# Rows that lie side by side are read together up to so many bytes.
PIECE = 2**24


class RowsOnDisk:
  """Rows of one array in a file; reads like an array that is asked for rows.

  Rows are read from the file and not mapped into memory, so that what was read once does
  not stay, and a file that becomes shorter is an error and not a crash.

  Args:
    path: the file.
    start: where its numbers begin.
    shape: of the array, [N, ...].
    dtype: of the array.
  """

  def __init__(
    self, path: pathlib.Path, start: int, shape: tuple[int, ...], dtype: np.dtype
  ):
    self.shape, self.dtype, self._path, self._start = shape, dtype, path, start
    self._row = int(np.prod(shape[1:])) * dtype.itemsize
    self._file: int | None = None
    self._lock = threading.Lock()

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows)
    found = np.empty((len(rows), *self.shape[1:]), self.dtype)
    if not found.size:
      return found
    into = found.data.cast('B')
    # Runs of rows that follow each other are one piece.
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(np.arange(len(rows)), breaks):
      for part in np.array_split(run, max(len(run) * self._row // PIECE, 1)):
        if len(part):
          place = self._start + int(rows[part[0]]) * self._row
          self._read(into[part[0] * self._row : (part[-1] + 1) * self._row], place)
    return found

  def _read(self, into: memoryview, place: int) -> None:
    done = 0
    while done < len(into):
      count = os.preadv(self._opened(), [into[done:]], place + done)
      if not count:
        raise InputError(
          f'{str(self._path)!r} has become shorter than it was; put the file back, and '
          'start the same command again'
        )
      done += count

  def _opened(self) -> int:
    with self._lock:
      if self._file is None:
        self._file = os.open(self._path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
      return self._file


class Shards:
  """Several arrays one after the other; reads like one that is asked for rows.

  Args:
    parts: arrays in memory or on disk, of one shape but for the number of rows.
  """

  def __init__(self, parts: Sequence[np.ndarray | RowsOnDisk]):
    self._parts = list(parts)
    self._ends = np.cumsum([len(part) for part in parts])
    self.shape = (int(self._ends[-1]), *parts[0].shape[1:])
    self.dtype = parts[0].dtype

  def __len__(self) -> int:
    return self.shape[0]

  def __getitem__(self, rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows)
    found = np.empty((len(rows), *self.shape[1:]), self.dtype)
    which = np.searchsorted(self._ends, rows, side='right')
    for number in np.unique(which):
      here = which == number
      first = self._ends[number] - len(self._parts[number])
      found[here] = self._parts[number][rows[here] - first]
    return found


def rows_of_npy(path: pathlib.Path) -> RowsOnDisk:
  """The array of a .npy file, on disk.

  Raises:
    OSError, ValueError: it is no such file, or shorter than it says.
  """
  with path.open('rb') as file:
    return _rows(file, path, path.stat().st_size)


def rows_in_npz(path: pathlib.Path, name: str) -> RowsOnDisk | None:
  """An array of a .npz file, on disk; None where it is compressed.

  Raises:
    KeyError, OSError, ValueError, zipfile.BadZipFile: there is no such array.
  """
  with zipfile.ZipFile(path) as archive:
    entry = archive.getinfo(f'{name}.npy')
  if entry.compress_type != zipfile.ZIP_STORED:
    return None
  with path.open('rb') as file:
    file.seek(entry.header_offset + ZIP_LENGTHS)
    lengths = struct.unpack('<HH', file.read(4))
    start = entry.header_offset + ZIP_HEADER + sum(lengths)
    file.seek(start)
    return _rows(file, path, start + entry.file_size)


def _rows(file: BinaryIO, path: pathlib.Path, end: int) -> RowsOnDisk:
  version = np.lib.format.read_magic(file)
  readers = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }
  if version not in readers:
    raise ValueError(f'its .npy version is {version}; 1.0 and 2.0 are read')
  shape, by_columns, dtype = readers[version](file)
  if dtype.hasobject:
    raise ValueError('it holds Python objects, which are not read: they may be programs')
  if not shape:
    raise ValueError('it holds one number and no array')
  if by_columns:
    raise ValueError(
      'its numbers lie column by column: make them np.ascontiguousarray(images) first'
    )
  found = RowsOnDisk(path, file.tell(), shape, dtype)
  if file.tell() + int(np.prod(shape)) * dtype.itemsize > end:
    raise ValueError(f'it is shorter than its {list(shape)} numbers')
  return found


@contextlib.contextmanager
def reading(path: pathlib.Path, what: str):
  """Turns what a file raises that cannot be read into an `InputError`.

  Args:
    path: the file.
    what: the config key that names it.
  """
  try:
    yield
  except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
    if isinstance(error, InputError):
      raise
    why = str(error).strip('"\'')
    raise InputError(
      f'{what}: cannot read {str(path)!r} ({why}); write it again with np.save or np.savez'
    ) from error
