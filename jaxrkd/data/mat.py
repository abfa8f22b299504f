"""SVHN's cropped digits, and what has their form, in MATLAB files."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jaxrkd.data.arrays import as_labels, check_layout, flat_labels
from jaxrkd.data.dataset import make_split
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

KEYS = ('X', 'y')


def mat(
  path: str = '',
  train_file: str = 'train_32x32.mat',
  test_file: str = 'test_32x32.mat',
) -> tuple[Split, Split]:
  """Reads two files with the images `X` [H, W, C, N] and the labels `y` [N, 1].

  Labels 1 ... 10 are those of SVHN, where 10 stands for the digit 0, which it becomes.

  Args:
    path: the folder.
    train_file: file in it with the training images.
    test_file: file in it with the test images.

  Raises:
    InputError: no such folder or file, no MATLAB file, or not such arrays.
  """
  folder = expanded(path)
  if not path or not folder.is_dir():
    raise InputError(
      f'data.path {path!r} is no folder; give one with {train_file} and {test_file}'
    )
  pairs = [_read(folder / name) for name in (train_file, test_file)]
  every = np.concatenate([labels for _, labels in pairs])
  notes: tuple[str, ...] = ()
  if (every.min(), every.max()) == (1, 10):
    pairs = [(images, labels % 10) for images, labels in pairs]
    notes = (
      f'{path}: labels are 1 ... 10, as in SVHN; 10 becomes 0, the digit it means',
    )
  train, test = (
    make_split(*pair, f'{path} {part}') for pair, part in zip(pairs, ('train', 'test'))
  )
  return dataclasses.replace(train, notes=(*notes, *train.notes)), test


def _read(file: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """Images, the first axis counting them, and class numbers."""
  # Imported here: only this source needs it.
  import scipy.io

  try:
    found: dict[str, Any] = scipy.io.loadmat(file, variable_names=KEYS)
  except NotImplementedError as error:
    raise InputError(
      f'{str(file)!r} is a MATLAB file of version 7.3, which scipy cannot read; save it '
      'with -v7, or bring it into a .npz with h5py'
    ) from error
  except Exception as error:
    # Of damaged files scipy raises anything, IndexError and zlib's errors included.
    raise InputError(
      f'cannot read {str(file)!r} as a MATLAB file ({error}); give the files of SVHN '
      '(format 2), or data.name=npz for arrays of your own'
    ) from error
  missing = [key for key in KEYS if key not in found]
  if missing:
    # Only the names: what else it holds may be large.
    there = ', '.join(name for name, _, _ in scipy.io.whosmat(file)) or 'none'
    raise InputError(
      f'{str(file)!r} has no array {missing[0]!r}; it needs X [H, W, C, N] and y [N, 1] '
      f'(found: {there}); bring other files into a .npz with scipy.io.loadmat and np.savez'
    )
  images, labels = found['X'], found['y']
  counts = (len(labels), labels.size)
  # With as many images as lines, the channels tell which axis counts them.
  last = len(images) not in counts or (images.ndim == 4 and images.shape[2] in (1, 3))
  if images.ndim >= 3 and images.shape[-1] in counts and last:
    images = np.moveaxis(images, -1, 0)
  labels = flat_labels(labels, len(images), str(file))
  if labels.ndim != 1 or not len(labels):
    check_layout(images.shape, labels.shape, str(file))
  return images, as_labels(labels, str(file))
