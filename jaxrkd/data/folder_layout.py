"""Which files of a folder belong to which class: folders by class, and Tiny-ImageNet's."""

import collections
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxrkd.data.decode import SUFFIXES
from jaxrkd.errors import InputError

TRAIN, TEST = ('train', 'training'), ('test', 'testing', 'val', 'valid', 'validation')
# Tiny-ImageNet's validation images lie side by side; this file has their classes.
ANNOTATIONS, WORDS = 'val_annotations.txt', 'words.txt'


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


class Layout(NamedTuple):
  """A folder, understood.

  Attributes:
    train: files of the training part, or of all where there is no other part.
    test: files of the test part; None where there is none.
    classes: folder names in the order of their numbers.
    names: of the classes, for people.
    notes: sentences.
  """

  train: Labelled
  test: Labelled | None
  classes: tuple[str, ...]
  names: tuple[str, ...]
  notes: tuple[str, ...]


def layout(root: pathlib.Path, test_folder: str = '') -> Layout:
  """Looks into a folder.

  Args:
    root: has `train/` and `test/` (or `val/`), with a folder per class in each; or the
      folders of the classes themselves.
    test_folder: name of the folder to measure on, where there are several.

  Raises:
    InputError: it has no such form, or the parts do not belong together.
  """
  folders = {place.name: place for place in _folders(root)}
  _check_case(root, folders)
  by_name = {name.lower(): place for name, place in folders.items()}
  train_folder = next((by_name[name] for name in TRAIN if name in by_name), None)
  if train_folder is None:
    if test_folder or any(name in by_name for name in TEST):
      named = test_folder or next(name for name in TEST if name in by_name)
      raise InputError(
        f'data.path {str(root)!r} has {named}/ but no train/; give a folder that has both, '
        'or one whose folders are the classes'
      )
    _check_parts(root, folders)
    train = by_class(root)
    classes, notes = ordered(train.classes)
    return Layout(train, None, classes, _names(root, classes), notes)
  train = by_class(train_folder)
  classes, notes = ordered(train.classes)
  test, more = _test(root, folders, classes, test_folder, train_folder)
  beside = [
    name
    for name, place in folders.items()
    if name.lower() not in (*TRAIN, *TEST)
    and name != test_folder
    and images_below(place)[0]
  ]
  if beside and test is None:
    raise InputError(
      f'{str(root)!r} has train/ and no test/, but {beside[0]}/ with images; put the folders of '
      'all classes into train/ and test/ (a class that is called train, too)'
    )
  if beside:
    more = (*more, f'{", ".join(beside)} beside train/ in {str(root)!r} are not read')
  return Layout(train, test, classes, _names(root, classes), (*notes, *more))


def _check_case(root: pathlib.Path, folders: dict[str, pathlib.Path]) -> None:
  """Refuses `Test/` beside `test/`, and `training/` beside `train/`."""
  for names in (TRAIN, *((name,) for name in TEST)):
    same = [name for name in folders if name.lower() in names]
    if len(same) > 1:
      raise InputError(
        f'{str(root)!r} has both {same[0]}/ and {same[1]}/; leave one, so that it is clear '
        'which is meant'
      )


def _check_parts(root: pathlib.Path, folders: dict[str, pathlib.Path]) -> None:
  """Refuses parts of a set, by other names, that would be taken for classes."""
  inside = [{place.name for place in _folders(folder)} for folder in folders.values()]
  if len(inside) > 1 and len(inside[0]) > 1 and all(own == inside[0] for own in inside):
    first, second = sorted(folders)[:2]
    raise InputError(
      f'{str(root)!r}: {first}/ and {second}/ hold the same folders, so that they are parts '
      'and not classes; call them train/ and test/'
    )


def _folders(root: pathlib.Path) -> list[pathlib.Path]:
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
  for folder in _folders(root):
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


def ordered(classes: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """Class names in the order of their numbers, and what to say about it."""
  by_name = sorted(set(classes))
  if not all(re.fullmatch(r'[0-9]+', name) for name in by_name):
    return tuple(by_name), ()
  by_number = tuple(sorted(by_name, key=lambda name: (int(name), name)))
  if list(by_number) == by_name:
    return by_number, ()
  return by_number, (
    f'classes are numbered by the numbers of their folders, {", ".join(by_number[:3])}, ...; '
    f'programs that sort by letters ({", ".join(by_name[:3])}, ...) number them otherwise, '
    'and a network from such a program has its logits in that order',
  )


def _test(
  root: pathlib.Path,
  folders: dict[str, pathlib.Path],
  classes: Sequence[str],
  chosen: str,
  train: pathlib.Path,
) -> tuple[Labelled | None, tuple[str, ...]]:
  """The part to measure on, and what to say of others."""
  by_name = {name.lower(): name for name in folders}
  names = [chosen] if chosen else [by_name[name] for name in TEST if name in by_name]
  if chosen and folders.get(chosen) == train:
    raise InputError(
      f'data.test_folder is {chosen!r}, which is trained on; name another folder'
    )
  if chosen and chosen not in folders:
    raise InputError(
      f'data.test_folder is {chosen!r}, which {str(root)!r} does not have (it has: '
      f'{", ".join(place.name for place in folders.values())})'
    )
  usable = [
    name
    for name in names
    if (folders[name] / ANNOTATIONS).is_file()
    or chosen
    or {place.name for place in _folders(folders[name])} & set(classes)
  ]
  if not usable:
    if names:
      raise InputError(
        f'{str(folders[names[0]])!r} has no folder of a class of train/ '
        f'({", ".join(classes[:3])}, ...); put its images into folders of these names'
      )
    return None, ()
  first, *others = usable
  notes = []
  for name in names:
    if name not in usable:
      notes.append(f'{folders[name].name}/ has no classes and is not read')
  if others:
    notes.append(
      f'{folders[first].name}/ is measured on and {folders[others[0]].name}/ is not read; '
      f'data.test_folder={folders[others[0]].name} takes that one'
    )
  place = folders[first]
  found = (_annotated if (place / ANNOTATIONS).is_file() else by_class)(place)
  alien = sorted(set(found.classes) - set(classes))
  if alien:
    raise InputError(
      f'{str(place)!r} has images of class {alien[0]!r}, which train/ does not have (it has: '
      f'{", ".join(classes[:10])}{", ..." if len(classes) > 10 else ""}); a network can only '
      'answer with classes it was trained on: add it to train/, or leave it out'
    )
  return found, tuple(notes)


def _annotated(folder: pathlib.Path) -> Labelled:
  """Images whose classes stand in a file, as Tiny-ImageNet's `val/`."""
  table = {}
  for number, line in enumerate(_lines(folder / ANNOTATIONS), 1):
    parts = line.split('\t')
    if len(parts) < 2:
      raise InputError(
        f'line {number} of {str(folder / ANNOTATIONS)!r} is {line!r}; expected a file name '
        'and a class, with a tab between them'
      )
    table[parts[0]] = parts[1]
  images, _ = images_below(folder)
  missing = sorted(table.keys() - {path.name for path in images})
  if missing:
    raise InputError(
      f'{str(folder)!r} lacks {len(missing)} of {len(table)} images of its {ANNOTATIONS}, '
      f'first {missing[0]!r}; unpack the archive again'
    )
  known = [path for path in images if path.name in table]
  notes: tuple[str, ...] = ()
  if len(known) < len(images):
    notes = (
      f'{len(images) - len(known)} images in {str(folder)!r} stand not in {ANNOTATIONS} and '
      'are left out',
    )
  return Labelled(known, [table[path.name] for path in known], notes)


def _lines(file: pathlib.Path) -> list[str]:
  try:
    return [
      line for line in file.read_text(encoding='utf-8').splitlines() if line.strip()
    ]
  except (OSError, UnicodeDecodeError) as error:
    raise InputError(f'cannot read {str(file)!r} ({error})') from error


def _names(root: pathlib.Path, classes: tuple[str, ...]) -> tuple[str, ...]:
  """What people call the classes: from WordNet's numbers, where a file explains them."""
  file = root / WORDS
  if not file.is_file():
    return classes
  known = {}
  for line in _lines(file):
    number, _, words = line.partition('\t')
    known[number] = words.split(',')[0].strip()
  names = [known.get(each) or each for each in classes]
  several = {name for name, count in collections.Counter(names).items() if count > 1}
  return tuple(
    f'{name} ({each})' if name in several else name for name, each in zip(names, classes)
  )
