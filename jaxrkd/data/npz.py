"""A user's own arrays in a .npz file."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxrkd.data.arrays import STACK
from jaxrkd.data.dataset import make_split
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

DAMAGED = (zipfile.BadZipFile, zlib.error)
KEYS = ('train_images', 'train_labels', 'test_images', 'test_labels')
NAMES = 'class_names'
EXTRA_KEYS = ('image', 'label')
# How files begin that are taken for .npz files.
OTHER_FILES = {
  b'MATLAB': (
    'it is a MATLAB file: data.name=mat reads those of SVHN, scipy.io.loadmat and np.savez '
    'bring others into a .npz'
  ),
  b'\x93NUMPY': 'it is one .npy array: data.name=npy reads a folder of them',
  b'\x89HDF': 'it is an HDF5 file: h5py and np.savez bring it into a .npz',
}


def npz(path: str = '') -> tuple[Split, Split]:
  """Reads train_images, train_labels, test_images, test_labels and, if there, class_names.

  Args:
    path: the file. Images are uint8 or floats in [0, 1], [N, H, W, C] or [N, H, W];
      `class_names` are strings, in the order of the labels.

  Raises:
    InputError: no such file, not a .npz, or an array is missing.
  """
  *arrays, names = _arrays(path, KEYS, 'data.path', NAMES)
  most = 1 + max((int(np.max(labels, initial=-1)) for labels in arrays[1::2]), default=0)
  told = () if names is None else _class_names(names, most, path)
  return (
    replace(make_split(arrays[0], arrays[1], f'{path} train'), names=told),
    replace(make_split(arrays[2], arrays[3], f'{path} test'), names=told),
  )


def _class_names(names: np.ndarray, classes: int, path: str) -> tuple[str, ...]:
  if names.ndim != 1 or names.dtype.kind not in 'US' or len(names) < classes:
    raise InputError(
      f'class_names in {path} has shape {names.shape} and type {names.dtype}; give one string '
      f'for each of the {classes} classes, or leave it out'
    )
  return tuple(x.decode() if isinstance(x, bytes) else str(x) for x in names.tolist())


def extra_arrays(path: str) -> tuple[np.ndarray, np.ndarray]:
  """`image` and `label` of a file of further images, in memory and not checked.

  Raises:
    InputError: as `npz`.
  """
  images, labels, _ = _arrays(path, EXTRA_KEYS, 'extra.path')
  return images, labels


def _kind(path: str) -> str:
  """What a file is that is no .npz, and what to do with it; empty where that is unknown."""
  try:
    with open(path, 'rb') as file:
      start = file.read(8)
  except OSError:
    return ''
  ways = (way for magic, way in OTHER_FILES.items() if start.startswith(magic))
  return next(ways, '')


def _arrays(path: str, keys: Sequence[str], what: str, also: str = '') -> list[Any]:
  """The arrays of a file, and last the one that may be there, or None."""
  try:
    # Opened here because np.load leaves a file that it cannot read open.
    with open(expanded(path), 'rb') as file, np.load(file, allow_pickle=False) as archive:
      missing = [key for key in keys if key not in archive]
      if missing:
        raise InputError(
          f'{path} has no array {missing[0]!r}; it needs {", ".join(keys)} '
          f'(found: {", ".join(archive) or "none"})'
        )
      return [*(archive[k] for k in keys), archive.get(also)]
  except (OSError, ValueError, EOFError, TypeError, *DAMAGED) as error:
    if isinstance(error, InputError):
      raise
    if 'Object arrays' in str(error):
      reason = 'an array holds Python objects, which are not read: they may be programs'
      raise InputError(f'cannot read {what} {path!r}: {reason}; {STACK}') from error
    # What numpy takes no other way it takes for a pickle, and says how to run it.
    if isinstance(error, FileNotFoundError):
      raise InputError(
        f'{what} {path!r} does not exist; give the path of a .npz file with the arrays '
        f'{", ".join(keys)}{", or of a folder of such files" if keys == EXTRA_KEYS else ""}'
      ) from error
    reason = 'it is not one' if 'pickle' in str(error) else str(error)
    reason = _kind(path) or reason
    raise InputError(
      f'cannot read {what} {path!r} as a .npz file ({reason}); give the path of a file '
      f'with the arrays {", ".join(keys)}'
    ) from error
