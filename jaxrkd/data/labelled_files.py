"""Image files and the classes that their folders say."""

import collections
import os
import pathlib
from typing import NamedTuple

from jaxrkd.data.decode import SUFFIXES
from jaxrkd.errors import InputError


class Labelled(NamedTuple):
  """Files of one part, the class of each, and what a person should know.

  Attributes:
    files: image files.
    classes: folder name of the class of each file.
    notes: sentences.
  """

  files: list[pathlib.Path]
  classes: list[str]
  notes: tuple[str, ...] = ()


def folders_in(root: pathlib.Path) -> list[pathlib.Path]:
  """The folders in a folder that are not hidden, sorted."""
  found = [place for place in root.iterdir() if place.is_dir() and _shown(place.name)]
  return sorted(found)


def _shown(name: str) -> bool:
  return not name.startswith(('.', '__MACOSX'))


def images_below(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
  """All files in a folder and the folders in it: (image files, others), both sorted."""
  images: list[pathlib.Path] = []
  others: list[pathlib.Path] = []
  seen: set[str] = set()
  for place, inner, files in os.walk(folder, onerror=_refuse, followlinks=True):
    real = os.path.realpath(place)
    if real in seen:
      raise InputError(f'{place!r} is a link to a folder that is read already; remove it')
    seen.add(real)
    inner[:] = sorted(name for name in inner if _shown(name))
    for name in sorted(filter(_shown, files)):
      path = pathlib.Path(place, name)
      if not path.exists():
        raise InputError(f'{str(path)!r} is a link to nothing; repair or remove it')
      (images if path.suffix.lower() in SUFFIXES else others).append(path)
  return images, others


def _refuse(error: OSError) -> None:
  raise InputError(f'{error.filename!r} cannot be read ({error.strerror})') from error


def by_class(root: pathlib.Path) -> Labelled:
  """Reads a folder whose folders are classes.

  Raises:
    InputError: it has none, or one of them has no images.
  """
  files: list[pathlib.Path] = []
  classes: list[str] = []
  left: list[pathlib.Path] = []
  for folder in folders_in(root):
    images, others = images_below(folder)
    # Tiny-ImageNet has a text file of boxes in each.
    left += [path for path in others if path.suffix != '.txt']
    if not images:
      held = 'nothing' if not others else f'files such as {others[0].name!r}'
      raise InputError(
        f'{str(folder)!r} has no images but {held}; each folder in {str(root)!r} is a '
        'class: remove it, or put images (.png, .jpg, .webp, ...) in'
      )
    files += images
    classes += [folder.name] * len(images)
  loose = [
    path
    for path in sorted(root.iterdir())
    if path.is_file() and path.suffix.lower() in SUFFIXES and _shown(path.name)
  ]
  if not files:
    held = f'{len(loose)} images' if loose else 'no folders'
    raise InputError(
      f'{str(root)!r} has {held} and no folders of images; put the images of each class '
      'into a folder of its own, such as cat/ and dog/'
    )
  notes = []
  hidden = [
    place.name
    for place in sorted(root.iterdir())
    if place.is_dir() and place.name.startswith('.') and _holds_images(place)
  ]
  if hidden:
    notes.append(f'hidden folders with images are left out: {", ".join(hidden)}')
  if loose:
    notes.append(
      f'{len(loose)} images lie in {str(root)!r} itself, without a class, and are left out'
    )
  if left:
    kinds = collections.Counter(path.suffix.lower() or 'no suffix' for path in left)
    told = ', '.join(sorted(kinds))
    notes.append(
      f'{len(left)} files in {str(root)!r} are no images by name ({told}) and are left out'
    )
  return Labelled(files, classes, tuple(notes))


def _holds_images(folder: pathlib.Path) -> bool:
  return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
