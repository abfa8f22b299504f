"""A user's own arrays in .npy files, which stay on disk: for sets that fit no memory."""

import numpy as np

from jaxrkd.data.dataset import checked, make_split
from jaxrkd.data.lazy import LazyImages
from jaxrkd.data.npz import KEYS
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded


def npy(path: str = '') -> tuple[Split, Split]:
  """Opens train_images.npy, train_labels.npy, test_images.npy and test_labels.npy.

  Training images are read when a batch needs them (`config.stream`).

  Args:
    path: the folder. Images are uint8, [N, H, W, C], as `np.save` writes them.

  Raises:
    InputError: no such folder or file, or not such arrays.
  """
  folder = expanded(path)
  if not path or not folder.is_dir():
    raise InputError(
      f'data.path {path!r} is no folder; give one with {", ".join(f"{k}.npy" for k in KEYS)}'
    )
  arrays = {}
  for key in KEYS:
    file = folder / f'{key}.npy'
    try:
      arrays[key] = np.load(file, mmap_mode='r', allow_pickle=False)
      if not isinstance(arrays[key], np.ndarray) or not arrays[key].ndim:
        raise ValueError('it holds no array of several numbers')
    except (OSError, ValueError, EOFError) as error:
      raise InputError(
        f'cannot read {str(file)!r} as a .npy file ({error}); write it with np.save'
      ) from error
  images = arrays['train_images']
  if images.ndim != 4 or images.dtype != np.uint8:
    raise InputError(
      f'{folder / "train_images.npy"} is {images.dtype} {list(images.shape)}; to stay on '
      'disk it must be uint8 [N, H, W, C]'
    )
  labels = np.asarray(arrays['train_labels'])
  index = np.arange(len(images), dtype=np.int32)
  train = checked(Split(LazyImages(images), labels, index), f'{path} train')
  return train, make_split(arrays['test_images'], arrays['test_labels'], f'{path} test')
