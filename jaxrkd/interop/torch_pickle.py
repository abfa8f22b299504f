"""Tensors out of PyTorch files without PyTorch, and without running what is in them.

A pickle is a program. Here it may name only the few constructors that tensors and plain
containers need, each replaced by one of ours that can do nothing else; whatever else it
names is refused before it is called.
"""

import collections
import io
import math
import pathlib
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from jaxrkd.errors import InputError

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


class Inert:
  """Stands for an object whose contents are of no use here; remembers nothing."""

  def __init__(self, *arguments: Any, **options: Any):
    del arguments, options

  def __setstate__(self, state: Any) -> None:
    del state


class _Storage:
  """Numbers that tensors are views of; filled in when the file has been read so far."""

  def __init__(self, dtype: np.dtype, size: int):
    self.dtype, self.size = dtype, size
    self.data: np.ndarray | None = None


class _Tensor:
  """A view of a storage, made into an array when that is there."""

  def __init__(self, storage: Any, offset: int, size: tuple, stride: tuple, *_: Any):
    if not isinstance(storage, _Storage):
      raise pickle.UnpicklingError('a tensor without numbers')
    self.storage, self.offset = storage, offset
    self.size, self.stride = tuple(size), tuple(stride)

  def array(self) -> np.ndarray:
    data, width = self.storage.data, self.storage.dtype.itemsize
    if data is None:
      raise EOFError('the numbers of a tensor are missing')
    last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride))
    if 0 in self.size:
      return np.zeros(self.size, self.storage.dtype)
    # A view of more numbers than there are would be memory from nothing.
    more = math.prod(self.size) > len(data)
    if self.offset < 0 or min(self.stride, default=0) < 0 or last >= len(data) or more:
      raise pickle.UnpicklingError('a tensor reaches beyond its numbers')
    view = np.lib.stride_tricks.as_strided(
      data[self.offset :], self.size, [s * width for s in self.stride]
    )
    return np.array(view)


def _parameter(data: Any, *_: Any) -> Any:
  return data


class _Dtype:
  """numpy's dtype in a pickle: plain numbers, or 'O' for a list of objects.

  numpy's own would take field offsets and flags from the file.
  """

  CODE = re.compile(r'[<>=|]?(?:[biuf][1248]|b1|[?bBhHiIlLqQefdg]|O8?|c8|c16)')

  def __init__(self, code: Any, *_: Any):
    if not isinstance(code, str) or not self.CODE.fullmatch(code):
      raise pickle.UnpicklingError(f'numbers of the unknown type {str(code)[:20]!r}')
    self.objects = code.strip('<>=|').startswith('O')
    self.code = code

  def __setstate__(self, state: Any) -> None:
    # (version, byte order, then what only structures have)
    if isinstance(state, tuple) and len(state) > 1 and state[1] in ('<', '>'):
      self.code = state[1] + self.code.lstrip('<>=|')

  def numbers(self, data: Any) -> np.ndarray:
    if self.objects or not isinstance(data, bytes | bytearray):
      raise pickle.UnpicklingError('numbers that are none')
    return np.frombuffer(bytes(data), np.dtype(self.code))


class _Array:
  """numpy's array in a pickle; only its `__setstate__` gives it contents."""

  def __init__(self, *_: Any):
    self.value: Any = None

  def __setstate__(self, state: Any) -> None:
    _, shape, dtype, fortran, data = state
    if not isinstance(dtype, _Dtype):
      raise pickle.UnpicklingError('an array without a type')
    if dtype.objects:
      self.value = list(data) if isinstance(data, list) else None
      return
    numbers, sizes = dtype.numbers(data), [int(size) for size in shape]
    # Columns first are the rows of the array turned round.
    turned = numbers.reshape(sizes[::-1]).T if fortran else numbers.reshape(sizes)
    self.value = turned.copy()


def _scalar(dtype: Any, data: Any = None) -> Any:
  if not isinstance(dtype, _Dtype):
    raise pickle.UnpicklingError('a number without a type')
  return dtype.numbers(data)[0]


def _bytes(text: str, encoding: str = 'latin1') -> bytes:
  # How Python 2's pickles spell bytes.
  return str(text).encode('latin1' if encoding == 'latin1' else 'utf-8')


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
  ('collections', 'OrderedDict'): collections.OrderedDict,
  ('torch._utils', '_rebuild_tensor_v2'): _Tensor,
  ('torch._utils', '_rebuild_tensor'): _Tensor,
  ('torch._utils', '_rebuild_parameter'): _parameter,
  ('torch._tensor', '_rebuild_from_type_v2'): lambda make, kind, args, state: make(*args),
  ('torch', 'Size'): tuple,
  ('numpy', 'dtype'): _Dtype,
  ('numpy', 'ndarray'): _Array,
  ('_codecs', 'encode'): _bytes,
}
for _module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
  ALLOWED[_module, 'scalar'] = _scalar
  ALLOWED[_module, '_reconstruct'] = _Array
# What training scripts keep beside the weights.
INERT = {
  ('argparse', 'Namespace'),
  ('torch', 'device'),
  ('torch.nn.parameter', 'Parameter'),
  ('torch', 'Tensor'),
  ('pathlib', 'PosixPath'),
  ('datetime', 'datetime'),
}


class Refused(pickle.UnpicklingError):
  """The pickle names something that only code would need."""


class TensorUnpickler(pickle.Unpickler):
  """Reads a pickle of tensors, arrays and plain containers; nothing else.

  Args:
    file: at the pickle's first byte.
    allowed: (module, name) -> what stands in its place, beside the ones of all files.
  """

  def __init__(self, file: Any, allowed: dict[tuple[str, str], Any] | None = None):
    super().__init__(file, encoding='latin1')
    self._allowed = {**ALLOWED, **(allowed or {})}
    self.storages: dict[str, _Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) in self._allowed:
      return self._allowed[module, name]
    if module in ('torch', 'torch.storage') and name.endswith('Storage'):
      return name
    if module == 'torch' and name in ('float32', 'float16', 'bfloat16', 'float64'):
      return name
    if (module, name) in INERT:
      return Inert
    raise Refused(f'{module}.{name}')

  def persistent_load(self, pid: Any) -> _Storage:
    kind, storage, key, _, size, *view = pid
    if kind != 'storage' or storage not in STORAGES or any(v is not None for v in view):
      raise pickle.UnpicklingError(f'numbers of the unknown kind {storage!r}')
    return self.storages.setdefault(key, _Storage(STORAGES[storage], size))


def is_torch_zip(path: pathlib.Path) -> bool:
  """Whether a zip archive has the pickle of torch 1.6 and later."""
  with zipfile.ZipFile(path) as archive:
    return any(name.endswith('/data.pkl') for name in archive.namelist())


def read_zip(path: pathlib.Path) -> Any:
  """What `torch.save` of torch 1.6 and later wrote, tensors as numpy arrays.

  Raises:
    InputError: TorchScript, or an archive of something else.
    Refused: see `TensorUnpickler`.
  """
  with zipfile.ZipFile(path) as archive:
    names = archive.namelist()
    found = [name for name in names if name.endswith('/data.pkl')]
    if not found or any('/code/' in name for name in names):
      what = 'a TorchScript program' if found else f'a zip archive of {names[:3]}'
      raise InputError(f'{str(path)!r} is {what}, not a file of weights; {SAVE_AGAIN}')
    root = found[0].removesuffix('data.pkl')
    reader = TensorUnpickler(io.BytesIO(archive.read(found[0])))
    tree = reader.load()
    big = f'{root}byteorder' in names and archive.read(f'{root}byteorder') == b'big'
    for key, storage in reader.storages.items():
      dtype = storage.dtype.newbyteorder('>') if big else storage.dtype
      there = archive.getinfo(f'{root}data/{key}').file_size
      if there != storage.size * dtype.itemsize:
        raise EOFError(
          f'numbers of {there} bytes instead of {storage.size * dtype.itemsize}'
        )
      data = np.frombuffer(archive.read(f'{root}data/{key}'), dtype)
      storage.data = data.astype(storage.dtype)
  return plain(tree)


def read_legacy(path: pathlib.Path) -> Any:
  """What `torch.save` before torch 1.6 wrote, tensors as numpy arrays.

  Raises:
    InputError: a pickle of something else.
    Refused: see `TensorUnpickler`.
  """
  with path.open('rb') as file:
    if TensorUnpickler(file).load() != MAGIC or TensorUnpickler(file).load() != PROTOCOL:
      raise InputError(
        f'{str(path)!r} is a pickle, but not one that torch.save wrote; {SAVE_AGAIN}'
      )
    TensorUnpickler(file).load()  # the machine that wrote it
    reader = TensorUnpickler(file)
    tree = reader.load()
    for key in TensorUnpickler(file).load():
      storage = reader.storages[key]
      (size,) = struct.unpack('<q', file.read(8))
      data = file.read(size * storage.dtype.itemsize)
      if len(data) != size * storage.dtype.itemsize:
        raise EOFError('the file ends within its numbers')
      storage.data = np.frombuffer(data, storage.dtype)
  return plain(tree)


def plain(tree: Any) -> Any:
  """Plain containers with an array in the place of each tensor and stand-in."""
  if isinstance(tree, _Tensor):
    return tree.array()
  if isinstance(tree, _Array):
    return plain(tree.value)
  if isinstance(tree, dict):
    return {key: plain(value) for key, value in tree.items()}
  if isinstance(tree, list | tuple):
    return [plain(value) for value in tree]
  return tree
