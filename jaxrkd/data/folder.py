"""Images in a folder per class, as people keep photographs; also Tiny-ImageNet's layout."""

import functools
import pathlib
import re
from dataclasses import replace
from typing import Any

import numpy as np

from jaxrkd.data.dataset import split_off
from jaxrkd.data.decode import Form
from jaxrkd.data.decoded_images import decoded_images
from jaxrkd.data.folder_layout import layout
from jaxrkd.data.image_cache import file_signature
from jaxrkd.data.image_parts import image_parts
from jaxrkd.data.labelled_files import Labelled
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded


def folder(
  path: str = '',
  size: int = 0,
  resize: int = 0,
  fit: str = 'crop',
  interpolation: str = 'bilinear',
  channels: int = 0,
  test_folder: str = '',
  test_fraction: float = 0.2,
  skip_damaged: bool = False,
) -> tuple[Split, Split]:
  """Reads PNG, JPEG, WebP, BMP, GIF, TIFF and PPM files.

  Images are decoded once. Their arrays are kept in the folder that JAXRKD_CACHE names, or
  ~/.cache/jaxrkd/images, and stay on disk where they are larger than 512 MiB. Images are
  numbered by the name of the file, so that 2.png comes before 10.png, whatever its class;
  classes by the name of the folder, or by its number where all are numbers.

  Args:
    path: the folder. It has `train/` and `test/` (or `val/`), with a folder per class in
      each; or the folders of the classes themselves.
    size: side of the square image that each becomes, in pixels; 0 keeps the size that all
      images have.
    resize: what the shorter side becomes before the middle square is cut out, such as 256
      for a `size` of 224; 0 is `size`.
    fit: 'crop' keeps proportions and cuts the middle square out, 'stretch' does not.
    interpolation: 'nearest', 'bilinear', 'bicubic', 'lanczos' or 'box'; shrinking averages.
    channels: 1 (grey) or 3 (colour); 0 takes 1 where all images are grey.
    test_folder: the folder in `path` to measure on, where there are several.
    test_fraction: share of each class that is measured on where no folder is for that.
    skip_damaged: leave out files that cannot be decoded, with a note.

  Raises:
    InputError: no such folder, no such layout, files that cannot be decoded, images of
      several sizes without `size`.
  """
  root = expanded(path)
  if not path or not root.is_dir():
    raise InputError(
      f'data.path {path!r} is no folder; give one with train/ and test/, and in each a '
      'folder per class with its images'
    )
  form = Form(size, resize, fit, interpolation, channels)
  try:
    found = layout(root, test_folder)
  except OSError as error:
    raise InputError(f'data.path {path!r} cannot be read ({error})') from error
  parts = [found.train] if found.test is None else [found.train, found.test]
  number = isinstance(test_fraction, int | float)
  if found.test is None and not (number and 0 < test_fraction < 1):
    raise InputError(
      f'data.test_fraction is {test_fraction!r}; {path!r} has no test/, so give a share of '
      'each class between 0 and 1, such as 0.2'
    )
  splits = read_parts(parts, found.classes, root, form, path, skip_damaged)
  notes = (*found.notes, *splits[0].notes)
  splits = [replace(each, names=found.names) for each in splits]
  if found.test is None:
    train, test = _divided(splits[0], test_fraction)
    told = f'{path} has no test/: {len(test)} of {len(train) + len(test)} images'
    notes = (*notes, f'{told}, the same share of each class, are measured on')
  else:
    train, test = splits
  return replace(train, notes=notes), replace(test.loaded(), notes=())


def read_parts(
  parts: list[Labelled],
  classes: tuple[str, ...],
  root: pathlib.Path,
  form: Form,
  what: str,
  skip_damaged: bool,
) -> list[Split]:
  """Decodes the files of several parts to images of one shape.

  Returns:
    A split for each part, numbered by file name; the notes are with the first.
  """
  number = {name: k for k, name in enumerate(classes)}
  rows = []
  for place, part in enumerate(parts):
    rows += sorted(
      (place, _natural(file.name), number[kind], str(file))
      for file, kind in zip(part.files, part.classes)
    )
  files = [pathlib.Path(row[-1]) for row in rows]
  names = [str(file.relative_to(root)) for file in files]
  found = decoded_images(
    [functools.partial(pathlib.Path, file) for file in files],
    names,
    [file_signature(file) for file in files],
    form,
    what,
    skip_damaged,
  )
  of, label = (np.array([row[k] for row in rows]) for k in (0, 2))
  splits = image_parts(found, of, label, classes, what)
  notes = [*(note for own in parts for note in own.notes), *splits[0].notes]
  return [replace(splits[0], notes=tuple(notes)), *splits[1:]]


def _natural(name: str) -> list[Any]:
  """Sorts 2.png before 10.png."""
  # Every second part is digits.
  return [int(x) if k % 2 else x for k, x in enumerate(re.split(r'([0-9]+)', name))]


def _divided(whole: Split, fraction: float) -> tuple[Split, Split]:
  """Takes a share of each class out; which images, their bytes decide."""
  taken = []
  for label in np.unique(whole.label):
    own = np.flatnonzero(whole.label == label)
    count = max(1, round(fraction * len(own)))
    if count == len(own):
      name = whole.names[label] if whole.names else label
      raise InputError(
        f'class {name!r} has {len(own)} images, and with data.test_fraction={fraction:g} none '
        'is left to train on; give more, another fraction, or folders train/ and test/'
      )
    taken.append(split_off(whole.take(own), count)[1].index)
  test = np.sort(np.concatenate(taken))
  rest = np.setdiff1d(np.arange(len(whole)), test)
  return whole.take(rest), whole.take(test)
