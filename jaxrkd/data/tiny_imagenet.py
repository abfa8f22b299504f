"""What Tiny-ImageNet has beside folders by class: classes in a text file, and their words."""

import collections
import pathlib

from jaxrkd.data.labelled_files import Labelled, images_below
from jaxrkd.errors import InputError

# Its validation images lie side by side; this file has their classes.
ANNOTATIONS, WORDS = 'val_annotations.txt', 'words.txt'


def annotated(folder: pathlib.Path) -> Labelled:
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


def class_words(root: pathlib.Path, classes: tuple[str, ...]) -> tuple[str, ...]:
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


def _lines(file: pathlib.Path) -> list[str]:
  try:
    return [
      line for line in file.read_text(encoding='utf-8').splitlines() if line.strip()
    ]
  except (OSError, UnicodeDecodeError) as error:
    raise InputError(f'cannot read {str(file)!r} ({error})') from error
