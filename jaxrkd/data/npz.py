"""A user's own arrays in a .npz file."""

import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from jaxrkd.data.arrays import STACK
from jaxrkd.data.dataset import make_split
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

DAMAGED = (zipfile.BadZipFile, zlib.error)
KEYS = ('train_images', 'train_labels', 'test_images', 'test_labels')
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
  """Reads train_images, train_labels, test_images and test_labels.

  Args:
    path: the file. Images are uint8 or floats in [0, 1], [N, H, W, C] or [N, H, W].

  Raises:
    InputError: no such file, not a .npz, or an array is missing.
  """
  arrays = _arrays(path, KEYS, 'data.path')
  return (
    make_split(arrays[0], arrays[1], f'{path} train'),
    make_split(arrays[2], arrays[3], f'{path} test'),
  )


def extra_images(path: str) -> Split:
  """Reads `image` and `label`, as in the public files of generated CIFAR images.

  Args:
    path: the file; arrays as for `npz`.

  Raises:
    InputError: as `npz`.
  """
  images, labels = _arrays(path, EXTRA_KEYS, 'extra.path')
  return make_split(images, labels, path)


def _kind(path: str) -> str:
  """What a file is that is no .npz, and what to do with it; empty where that is unknown."""
  try:
    with open(path, 'rb') as file:
      start = file.read(8)
  except OSError:
    return ''
  ways = (way for magic, way in OTHER_FILES.items() if start.startswith(magic))
  return next(ways, '')


def _arrays(path: str, keys: Sequence[str], what: str) -> list[np.ndarray]:
  try:
    # Opened here because np.load leaves a file that it cannot read open.
    with open(expanded(path), 'rb') as file, np.load(file, allow_pickle=False) as archive:
      missing = [key for key in keys if key not in archive]
      if missing:
        raise InputError(
          f'{path} has no array {missing[0]!r}; it needs {", ".join(keys)} '
          f'(found: {", ".join(archive) or "none"})'
        )
      return [archive[key] for key in keys]
  except (OSError, ValueError, EOFError, TypeError, *DAMAGED) as error:
    if isinstance(error, InputError):
      raise
    if 'Object arrays' in str(error):
      reason = 'an array holds Python objects, which are not read: they may be programs'
      raise InputError(f'cannot read {what} {path!r}: {reason}; {STACK}') from error
    # What numpy takes no other way it takes for a pickle, and says how to run it.
    reason = 'it is not one' if 'pickle' in str(error) else str(error)
    reason = _kind(path) or reason
    raise InputError(
      f'cannot read {what} {path!r} as a .npz file ({reason}); give the path of a file '
      f'with the arrays {", ".join(keys)}'
    ) from error
