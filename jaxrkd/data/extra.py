"""Further images that only training sees: one file or a folder of them."""

import pathlib

import numpy as np

from jaxrkd.data.arrays import as_array, as_labels, check_layout, flat_labels
from jaxrkd.data.dataset import make_split
from jaxrkd.data.lazy import IN_MEMORY, LazyImages
from jaxrkd.data.npz import extra_arrays
from jaxrkd.data.shards import RowsOnDisk, Shards, reading, rows_in_npz, rows_of_npy
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

WHAT = 'config.extra.path'


def extra_images(path: str, in_memory: int = IN_MEMORY) -> Split:
  """Reads `image` and `label`, as in the public files of generated CIFAR images.

  Images that take more than `in_memory` bytes stay on disk and are read when a batch needs
  them, if they are uint8 and not compressed. Those of a compressed .npz file are bytes in
  memory.

  Args:
    path: a .npz file with `image` and `label`; or a folder, whose files follow each other
      by name: .npz files of this kind, or pairs of .npy files whose names differ by `image`
      and `label`. Arrays as for `npz`.
    in_memory: bytes.

  Raises:
    InputError: no such file, or arrays that are missing or do not belong together.
  """
  place = expanded(path)
  if not path or not place.is_dir():
    if not place.is_file() or _stored(place) <= in_memory:
      return make_split(*extra_arrays(path), path)
    return _joined([_npz(place)], path, in_memory)
  entries = [file for file in place.iterdir() if not file.name.startswith('.')]
  folders = sorted(file.name for file in entries if file.is_dir())
  if folders:
    raise InputError(
      f'{WHAT}: the folder {path!r} has a folder in it, {folders[0]!r}, which would not be '
      'read; put all files side by side'
    )
  files = sorted(file for file in entries if file.suffix.lower() in ('.npz', '.npy'))
  kinds = {file.suffix.lower() for file in files}
  if len(kinds) != 1:
    held = 'both .npz and .npy files' if kinds else 'neither .npz nor .npy files'
    raise InputError(
      f'{WHAT}: the folder {path!r} has {held}; give one with .npz files (image, label), or '
      'with pairs of .npy files such as image_0.npy and label_0.npy'
    )
  parts = [_npz(f) for f in files] if kinds == {'.npz'} else _pairs(files, path)
  return _joined(parts, path, in_memory)


def _stored(file: pathlib.Path) -> int:
  """Bytes of the images, if they could stay on disk; 0 if not."""
  try:
    rows = rows_in_npz(file, 'image')
  except Exception:
    return 0
  return int(np.prod(rows.shape)) * rows.dtype.itemsize if rows is not None else 0


Part = tuple[np.ndarray | RowsOnDisk, np.ndarray, str]


def _npz(file: pathlib.Path) -> Part:
  with reading(file, WHAT):
    try:
      rows = rows_in_npz(file, 'image')
    except KeyError:
      rows = None  # what there is instead is told below
    if rows is None or rows.dtype != np.uint8 or len(rows.shape) != 4:
      found = make_split(*extra_arrays(str(file)), str(file))
      return found.image, found.label, str(file)
    with np.load(file, allow_pickle=False) as archive:
      if 'label' not in archive:
        raise InputError(
          f"{WHAT}: {str(file)!r} has no array 'label'; it needs image, label"
        )
      return rows, archive['label'], str(file)


def _pairs(files: list[pathlib.Path], path: str) -> list[Part]:
  parts: list[Part] = []
  for file in files:
    if 'image' not in file.name:
      if 'label' not in file.name:
        raise InputError(
          f'{WHAT}: {str(file)!r} is neither images nor labels by its name; name pairs such '
          'as image_0.npy and label_0.npy'
        )
      if not file.with_name(file.name.replace('label', 'image')).exists():
        raise InputError(f'{WHAT}: {str(file)!r} has no file of images beside it')
      continue
    other = file.with_name(file.name.replace('image', 'label'))
    if not other.exists():
      raise InputError(
        f'{WHAT}: {str(file)!r} has no {other.name!r} beside it, which would be its labels'
      )
    with reading(file, WHAT):
      images: np.ndarray | RowsOnDisk = rows_of_npy(file)
    with reading(other, WHAT):
      labels = np.load(other, allow_pickle=False)
    if images.dtype != np.uint8 or len(images.shape) != 4:
      images = make_split(np.load(file, allow_pickle=False), labels, str(file)).image
    parts.append((images, labels, str(file)))
  if not parts:
    raise InputError(f'{WHAT}: the folder {path!r} has no images; see {WHAT} in the docs')
  return parts


def _read(image: np.ndarray | RowsOnDisk, name: str) -> np.ndarray:
  """Images in memory; of a .npz file by its checksum."""
  if isinstance(image, np.ndarray):
    return image
  if name.lower().endswith('.npz'):
    return extra_arrays(name)[0]
  return image[np.arange(len(image))]


def _joined(parts: list[Part], path: str, in_memory: int) -> Split:
  images, labels = [], []
  (first, _, where), *_ = parts
  for image, label, name in parts:
    if image.shape[1:] != first.shape[1:]:
      raise InputError(
        f'{WHAT}: {name} has images {list(image.shape[1:])}, but {where} '
        f'{list(first.shape[1:])}; give all one shape'
      )
    label = flat_labels(as_array(label, f'{name}: labels'), len(image), name)
    check_layout(image.shape, label.shape, name)
    labels.append(as_labels(label, name))
    images.append(image)
  label = np.concatenate(labels)
  index = np.arange(len(label), dtype=np.int32)
  whole = Shards(images)
  if int(np.prod(whole.shape)) <= in_memory:
    return Split(np.concatenate([_read(*part[::2]) for part in parts]), label, index)
  return Split(LazyImages(whole), label, index)
