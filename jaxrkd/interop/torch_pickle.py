"""Tensors out of PyTorch files without PyTorch, and without running what is in them."""

import dataclasses
import io
import math
import os
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.pickle_machine import (
  PLAIN,
  Known,
  Machine,
  Maker,
  Opaque,
  Source,
  plain,
  whole,
)

# The first numbers of the format before torch 1.6.
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {
  'DoubleStorage': np.dtype('<f8'),
  'FloatStorage': np.dtype('<f4'),
  'HalfStorage': np.dtype('<f2'),
  'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
  'LongStorage': np.dtype('<i8'),
  'IntStorage': np.dtype('<i4'),
  'ShortStorage': np.dtype('<i2'),
  'CharStorage': np.dtype('i1'),
  'ByteStorage': np.dtype('u1'),
  'BoolStorage': np.dtype('?'),
}
SAVE_AGAIN = 'save its weights alone, with torch.save(model.state_dict(), path)'
# torch does not compress. Whoever packs its file again gains little on weights, so a file
# that unpacks to more than this many times its size holds anything but those.
UNPACKED = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
  """Numbers that tensors are views of."""

  key: str
  dtype: np.dtype
  size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
  """A view of a storage."""

  storage: Storage
  offset: int
  size: tuple[int, ...]
  stride: tuple[int, ...]

  def array(self, data: np.ndarray) -> np.ndarray:
    """The tensor's part of its storage's numbers, without a copy.

    Raises:
      pickle.UnpicklingError: there are not as many.
    """
    last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride))
    if 0 in self.size:
      return np.zeros(self.size, data.dtype)
    # A view of more numbers than there are would be memory from nothing.
    if last >= len(data) or math.prod(self.size) > len(data):
      raise pickle.UnpicklingError('a tensor reaches beyond its numbers')
    width = data.dtype.itemsize
    # numpy holds sizes and strides against the buffer once more.
    return np.ndarray(
      self.size, data.dtype, data, self.offset * width, [s * width for s in self.stride]
    )


def _tensor(
  machine: Machine, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> Tensor | Opaque:
  del machine
  if isinstance(storage, Opaque):
    return storage
  if not isinstance(storage, Storage):
    raise pickle.UnpicklingError('a tensor without numbers')
  (start,), sizes, steps = whole((offset,)), whole(size), whole(stride)
  if len(sizes) != len(steps):
    raise pickle.UnpicklingError('a tensor with more or fewer strides than sizes')
  return Tensor(storage, start, sizes, steps)


def _parameter(machine: Machine, data: Any, *_: Any) -> Any:
  del machine
  return data


def _of_a_kind(
  machine: Machine, make: Any, kind: Any, arguments: Any, *_: Any
) -> Tensor | Opaque:
  """A tensor of a class of its own."""
  if isinstance(make, Known) and make.make not in (_tensor, _parameter):
    raise pickle.UnpicklingError('a tensor that is made of something else')
  return machine.call(make, arguments)


def _size(machine: Machine, sizes: Any = ()) -> tuple[int, ...]:
  del machine
  return whole(sizes)


TABLE: dict[tuple[str, str], Maker] = {
  **PLAIN,
  ('torch._utils', '_rebuild_tensor_v2'): _tensor,
  ('torch._utils', '_rebuild_tensor'): _tensor,
  ('torch._utils', '_rebuild_parameter'): _parameter,
  ('torch._utils', '_rebuild_parameter_with_state'): _parameter,
  ('torch._tensor', '_rebuild_from_type_v2'): _of_a_kind,
  ('torch', 'Size'): _size,
}


class TensorReader:
  """Reads pickles of tensors and plain containers, and remembers their storages."""

  def __init__(self, source: Source):
    self._source = source
    self.storages: dict[str, Storage] = {}
    self.data: dict[str, np.ndarray] = {}

  def load(self) -> Any:
    """What the next pickle describes; see `Machine.load`."""
    return Machine(self._source, TABLE, self._storage).load()

  def plain(self, tree: Any) -> Any:
    """Plain containers with an array in the place of each tensor."""
    return plain(tree, self._view)

  def _storage(self, pid: Any) -> Storage | Opaque:
    if not isinstance(pid, tuple) or len(pid) not in (5, 6):
      raise pickle.UnpicklingError('a reference to something else than a storage')
    word, kind, key, _, size, *view = pid
    if word != 'storage' or not isinstance(kind, Opaque) or not isinstance(key, str):
      raise pickle.UnpicklingError('a reference to something that is no storage')
    if any(part is not None for part in view):
      raise pickle.UnpicklingError('numbers within other numbers')
    module, _, name = kind.name.rpartition('.')
    if module not in ('torch', 'torch.storage') or name not in STORAGES:
      return kind
    found = Storage(key, STORAGES[name], *whole((size,)))
    if self.storages.setdefault(key, found) != found:
      raise pickle.UnpicklingError('the same numbers in two types or sizes')
    return found

  def _view(self, value: Any) -> Any:
    if isinstance(value, Tensor):
      if value.storage.key not in self.data:
        raise EOFError('the numbers of a tensor are missing')
      return value.array(self.data[value.storage.key])
    return Opaque('torch.storage') if isinstance(value, Storage) else value


def check_unpacked(
  archive: zipfile.ZipFile, path: pathlib.Path, names: Iterable[str]
) -> None:
  """Raises `zipfile.BadZipFile` where entries of a small archive hold a lot."""
  entries = [archive.getinfo(name) for name in names]
  for entry in entries:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
      raise zipfile.BadZipFile('an archive in a compression that torch does not read')
  unpacked = sum(entry.file_size for entry in entries)
  if unpacked > UNPACKED * path.stat().st_size + 2**20:
    raise zipfile.BadZipFile(f'an archive that unpacks to {unpacked:,} bytes')


def read_zip(path: pathlib.Path) -> Any:
  """What `torch.save` of torch 1.6 and later wrote, tensors as numpy arrays.

  Raises:
    InputError: TorchScript, or an archive of something else.
    Refused: see `pickle_machine`.
  """
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    found = [name for name in names if name.endswith('/data.pkl')]
    if not found or any('/code/' in name for name in names):
      held = ', '.join(repr(name[:40]) for name in names[:3])
      what = 'a TorchScript program' if found else f'a zip archive of {held or "nothing"}'
      raise InputError(f'{str(path)!r} is {what}, not a file of weights; {SAVE_AGAIN}')
    root = found[0].removesuffix('data.pkl')
    check_unpacked(archive, path, found[:1])
    program = archive.read(found[0])
    reader = TensorReader(Source(io.BytesIO(program), len(program)))
    tree = reader.load()
    big = f'{root}byteorder' in names and archive.read(f'{root}byteorder') == b'big'
    entries = {key: f'{root}data/{key}' for key in reader.storages}
    for key, entry in entries.items():
      _check_size(archive.getinfo(entry).file_size, reader.storages[key])
    check_unpacked(archive, path, entries.values())
    for key, entry in entries.items():
      data = np.frombuffer(archive.read(entry), reader.storages[key].dtype)
      reader.data[key] = data.byteswap() if big else data
  return reader.plain(tree)


def read_legacy(path: pathlib.Path) -> Any:
  """What `torch.save` before torch 1.6 wrote, tensors as numpy arrays.

  Raises:
    InputError: a pickle of something else.
    Refused: see `pickle_machine`.
  """
  with path.open('rb') as file:
    source = Source(file, os.fstat(file.fileno()).st_size)
    reader = TensorReader(source)
    if reader.load() != MAGIC or reader.load() != PROTOCOL:
      raise InputError(
        f'{str(path)!r} is a pickle, but not one that torch.save wrote; {SAVE_AGAIN}'
      )
    reader.load()  # the machine that wrote it
    tree, keys = reader.load(), reader.load()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
      raise pickle.UnpicklingError('no list of storages')
    for key in keys:
      if key not in reader.storages:
        raise pickle.UnpicklingError('numbers of a kind that is not read')
      storage = reader.storages[key]
      (size,) = struct.unpack('<q', source.read(8))
      _check_size(size * storage.dtype.itemsize, storage)
      data = source.read(size * storage.dtype.itemsize)
      _check_size(len(data), storage)
      reader.data[key] = np.frombuffer(data, storage.dtype)
  return reader.plain(tree)


def _check_size(there: int, storage: Storage) -> None:
  size = storage.size * storage.dtype.itemsize
  if there != size:
    raise EOFError(f'numbers of {there} bytes instead of {size}')
