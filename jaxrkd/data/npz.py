"""A user's own arrays in a .npz file."""

import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from jaxrkd.data.dataset import Split, make_split
from jaxrkd.errors import InputError

DAMAGED = (zipfile.BadZipFile, zlib.error)
KEYS = ('train_images', 'train_labels', 'test_images', 'test_labels')
EXTRA_KEYS = ('image', 'label')


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


def _arrays(path: str, keys: Sequence[str], what: str) -> list[np.ndarray]:
  try:
    # Opened here because np.load leaves a file that it cannot read open.
    with open(path, 'rb') as file, np.load(file, allow_pickle=False) as archive:
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
    raise InputError(
      f'cannot read {what} {path!r} as a .npz file ({error}); give the path of a file '
      f'with the arrays {", ".join(keys)}'
    ) from error
