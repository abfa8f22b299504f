"""CIFAR-10 with one corruption of CIFAR-10-C on its test images."""

import dataclasses
import pathlib

import numpy as np

from jaxrkd.data.dataset import make_split
from jaxrkd.data.split import Split
from jaxrkd.data.tfds import tfds
from jaxrkd.errors import InputError, one_of
from jaxrkd.paths import expanded

# Hendrycks and Dietterich 2019 (1903.12261): those that mCE averages, then four more.
CORRUPTIONS = (
  'gaussian_noise',
  'shot_noise',
  'impulse_noise',
  'defocus_blur',
  'glass_blur',
  'motion_blur',
  'zoom_blur',
  'snow',
  'frost',
  'fog',
  'brightness',
  'contrast',
  'elastic_transform',
  'pixelate',
  'jpeg_compression',
)
MORE = ('speckle_noise', 'gaussian_blur', 'spatter', 'saturate')
# TFDS has other names for some.
IN_TFDS = {
  'glass_blur': 'frosted_glass_blur',
  'elastic_transform': 'elastic',
}
SEVERITIES = (1, 2, 3, 4, 5)
IMAGES = 10_000


def cifar10_corrupted(
  corruption: str = 'gaussian_noise',
  severity: int = 3,
  path: str = '',
  data_dir: str = '',
) -> tuple[Split, Split]:
  """Reads CIFAR-10's training images and the corrupted test images.

  Args:
    corruption: such as 'fog'; a name of CIFAR-10-C's files.
    severity: 1 to 5.
    path: folder with CIFAR-10-C's `fog.npy`, ... and `labels.npy`; empty takes TFDS's
      `cifar10_corrupted`.
    data_dir: where TFDS keeps data.

  Raises:
    InputError: no such corruption or severity, or as `tfds`.
  """
  one_of(corruption, (*CORRUPTIONS, *MORE), 'data.corruption')
  one_of(severity, SEVERITIES, 'data.severity')
  if path:
    train, _ = tfds('cifar10', data_dir)
    test = corrupted(path, corruption, severity)
    return train, dataclasses.replace(test, names=train.names)
  name = IN_TFDS.get(corruption, corruption)
  train, _ = tfds('cifar10', data_dir)
  only_test = dict(train_split='test', test_split='test')
  _, test = tfds(f'cifar10_corrupted/{name}_{severity}', data_dir, **only_test)
  return train, test


def corrupted(path: str, corruption: str, severity: int) -> Split:
  """The 10,000 test images of one severity, from CIFAR-10-C's arrays.

  Raises:
    InputError: no such file, or not such arrays.
  """
  folder = expanded(path)
  images, labels = (_array(folder / f'{name}.npy') for name in (corruption, 'labels'))
  if images.shape[0] != 5 * IMAGES or labels.shape != (5 * IMAGES,):
    raise InputError(
      f'{str(folder)!r}: {corruption}.npy is {list(images.shape)} and labels.npy '
      f'{list(labels.shape)}; those of CIFAR-10-C are [50000, 32, 32, 3] and [50000], 10,000 '
      'images of each severity'
    )
  part = slice(IMAGES * (severity - 1), IMAGES * severity)
  return make_split(images[part], labels[part], f'{corruption} {severity}')


def _array(file: pathlib.Path) -> np.ndarray:
  try:
    return np.load(file, mmap_mode='r', allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise InputError(
      f'cannot read {str(file)!r} ({error}); give the folder into which CIFAR-10-C.tar is '
      'unpacked as data.path'
    ) from error
