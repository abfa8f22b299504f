"""What a folder of images is: parts with folders by class, or classes alone."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxrkd.data.labelled_files import Labelled, by_class, folders_in, images_below
from jaxrkd.data.tiny_imagenet import ANNOTATIONS, annotated, class_words
from jaxrkd.errors import InputError

TRAIN, TEST = ('train', 'training'), ('test', 'testing', 'val', 'valid', 'validation')


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
  folders = {place.name: place for place in folders_in(root)}
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
    return Layout(train, None, classes, class_words(root, classes), notes)
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
  return Layout(train, test, classes, class_words(root, classes), (*notes, *more))


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
  inside = [{place.name for place in folders_in(folder)} for folder in folders.values()]
  if len(inside) > 1 and len(inside[0]) > 1 and all(own == inside[0] for own in inside):
    first, second = sorted(folders)[:2]
    raise InputError(
      f'{str(root)!r}: {first}/ and {second}/ hold the same folders, so that they are parts '
      'and not classes; call them train/ and test/'
    )


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
    or {place.name for place in folders_in(folders[name])} & set(classes)
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
  found = (annotated if (place / ANNOTATIONS).is_file() else by_class)(place)
  alien = sorted(set(found.classes) - set(classes))
  if alien:
    raise InputError(
      f'{str(place)!r} has images of class {alien[0]!r}, which train/ does not have (it has: '
      f'{", ".join(classes[:10])}{", ..." if len(classes) > 10 else ""}); a network can only '
      'answer with classes it was trained on: add it to train/, or leave it out'
    )
  return found, tuple(notes)
