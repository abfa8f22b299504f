"""GTSRB: 43 classes of German traffic signs, as its authors publish them."""

import csv
import pathlib
from dataclasses import replace

from jaxrkd.data.decode import SUFFIXES, Form
from jaxrkd.data.folder import read_parts
from jaxrkd.data.labelled_files import Labelled, by_class
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

TRAIN, TEST = 'Final_Training/Images', 'Final_Test/Images'
TABLE = 'GT-final_test.csv'
# In the order of their numbers.
NAMES = (
  *(f'speed limit {limit}' for limit in (20, 30, 50, 60, 70, 80)),
  'end of speed limit 80',
  'speed limit 100',
  'speed limit 120',
  'no passing',
  'no passing for lorries',
  'priority at the next crossing',
  'priority road',
  'give way',
  'stop',
  'no vehicles',
  'no lorries',
  'no entry',
  'danger',
  'bend to the left',
  'bend to the right',
  'double bend',
  'uneven road',
  'slippery road',
  'road narrows on the right',
  'road works',
  'traffic lights',
  'pedestrians',
  'children',
  'bicycles',
  'snow',
  'wild animals',
  'end of all limits',
  'turn right ahead',
  'turn left ahead',
  'ahead only',
  'ahead or right',
  'ahead or left',
  'keep right',
  'keep left',
  'roundabout',
  'end of no passing',
  'end of no passing for lorries',
)


def gtsrb(
  path: str = '', size: int = 32, interpolation: str = 'bilinear'
) -> tuple[Split, Split]:
  """Reads GTSRB (Stallkamp et al. 2012): 39,209 and 12,630 images of 43 signs.

  Images of all proportions are stretched to squares, as the literature has it: a sign
  fills its image.

  Args:
    path: folder with `Final_Training/Images/00000 ... 00042` and `Final_Test/Images` with
      `GT-final_test.csv`, which has the classes of the test images.
    size: side of the square image that each becomes, in pixels.
    interpolation: as for `folder`.

  Raises:
    InputError: no such folder or file, or as `folder`.
  """
  root = expanded(path)
  if (root / 'GTSRB').is_dir():
    root = root / 'GTSRB'
  if not path or not (root / TRAIN).is_dir() or not (root / TEST).is_dir():
    raise InputError(
      f'data.path {path!r} has no {TRAIN} and {TEST}; give the folder into which the '
      'archives of GTSRB are unpacked'
    )
  train = by_class(root / TRAIN)
  # Its notes tell of the tables of boxes in each folder.
  train = _numbered(train._replace(notes=()), TRAIN)
  test = _numbered(_test(root / TEST), TEST)
  classes = tuple(str(number) for number in range(len(NAMES)))
  form = Form(size, 0, 'stretch', interpolation, 3)
  first, second = read_parts([train, test], classes, root, form, path, False)
  return replace(first, names=NAMES), replace(second.loaded(), names=NAMES)


def _numbered(part: Labelled, what: str) -> Labelled:
  """Classes written as 00007 are 7."""
  for kind in part.classes:
    if not kind.isdecimal() or int(kind) >= len(NAMES):
      raise InputError(f'{what} has class {kind!r}; those of GTSRB are 0 to 42')
  return part._replace(classes=[str(int(kind)) for kind in part.classes])


def _test(folder: pathlib.Path) -> Labelled:
  """Files and their classes, from the table beside them."""
  file = next((p for p in (folder / TABLE, folder.parent / TABLE) if p.is_file()), None)
  if file is None:
    raise InputError(
      f'{str(folder)!r} has no {TABLE}, which has the classes of the test images; unpack '
      'GTSRB_Final_Test_GT.zip into it'
    )
  try:
    with file.open(newline='', encoding='utf-8-sig') as opened:
      rows = list(csv.DictReader(opened, delimiter=';'))
  except (OSError, ValueError, csv.Error) as error:
    raise InputError(f'cannot read {str(file)!r} ({error})') from error
  if not rows or not {'Filename', 'ClassId'} <= rows[0].keys():
    raise InputError(f'{str(file)!r} has no columns Filename and ClassId')
  whole = [row for row in rows if row['Filename'] and row['ClassId']]
  if len(whole) < len(rows) or len({row['Filename'] for row in rows}) < len(rows):
    raise InputError(
      f'{str(file)!r} has rows without a class, or one file twice; get it again'
    )
  files = [folder / row['Filename'] for row in rows]
  missing = [path for path in files if not path.is_file()]
  if missing:
    raise InputError(
      f'{str(folder)!r} lacks {len(missing)} of {len(files)} test images, first '
      f'{missing[0].name!r}; unpack the archive again'
    )
  unlisted = sum(path.suffix.lower() in SUFFIXES for path in folder.iterdir()) - len(
    files
  )
  notes = (f'{unlisted} test images stand not in {TABLE}',) if unlisted > 0 else ()
  return Labelled(files, [row['ClassId'] for row in rows], notes)
