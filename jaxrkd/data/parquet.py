"""Image sets of the Hugging Face hub: Parquet files, or the `datasets` package."""

import contextlib
import io
import json
import pathlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.data.arrays import as_labels
from jaxrkd.data.decode import Encoded, Form
from jaxrkd.data.decoded_images import decoded_images
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError, nearest
from jaxrkd.paths import expanded

# How the files of a part begin.
TRAIN, TEST = ('train',), ('test', 'validation', 'valid', 'val')


class Table(NamedTuple):
  """Rows of one part.

  Attributes:
    image: a column of encoded images (structs of `bytes` and `path`).
    label: class numbers.
    names: of the classes.
    signature: changes whenever the images do.
    where: they lie, for messages.
    root: where images lie that are given by path.
    label_column: name of the column of classes.
    notes: sentences.
  """

  image: Sequence[Any]
  label: np.ndarray
  names: tuple[str, ...]
  signature: list[Any]
  where: str
  root: pathlib.Path
  label_column: str
  notes: tuple[str, ...] = ()


class _Rows(Sequence[Any]):
  """A column in chunks: together they may be more than Arrow's arrays hold."""

  def __init__(self, column: Any):
    self._chunks = [chunk for chunk in column.chunks if len(chunk)]
    self._ends = np.cumsum([len(chunk) for chunk in self._chunks])

  def __len__(self) -> int:
    return int(self._ends[-1]) if len(self._ends) else 0

  def __getitem__(self, row: Any) -> Any:
    number = int(np.searchsorted(self._ends, row, 'right'))
    chunk = self._chunks[number]
    return chunk[int(row) - int(self._ends[number]) + len(chunk)]


def parquet(
  path: str = '',
  dataset: str = '',
  subset: str = '',
  train_split: str = '',
  test_split: str = '',
  image: str = '',
  label: str = '',
  size: int = 0,
  resize: int = 0,
  fit: str = 'crop',
  interpolation: str = 'bilinear',
  channels: int = 0,
  skip_damaged: bool = False,
) -> tuple[Split, Split]:
  """Reads Parquet files with a column of images and one of classes, as the hub has them.

  Args:
    path: folder with files such as `train-00000-of-00002.parquet` and
      `test-00000-of-00001.parquet`, also in folders in it.
    dataset: instead of `path`, a name on the hub such as 'uoft-cs/cifar10', or a folder;
      needs the package `datasets`.
    subset: of the data set, where it has several; with `path`, a folder in it.
    train_split: beginning of the files' names (or name of the hub's split) to train on;
      empty is 'train'.
    test_split: those to measure on; empty is 'test', or 'validation' where there is none.
    image: column of images; empty takes the only one that has images.
    label: column of classes; empty takes the only one that has class numbers.
    size: side of the square image that each becomes; 0 keeps the size that all have.
    resize: as for `folder`.
    fit: as for `folder`.
    interpolation: as for `folder`.
    channels: as for `folder`.
    skip_damaged: as for `folder`.

  Raises:
    InputError: no such files, columns or splits, or as `folder`.
  """
  if bool(path) == bool(dataset):
    raise InputError(
      f'data.path is {path!r} and data.dataset {dataset!r}; give one of them: a folder of '
      ".parquet files, or a name on the Hugging Face hub such as 'uoft-cs/cifar10'"
    )
  if path:
    pairs = _local(path, subset, train_split, test_split)
  else:
    pairs = _hub(dataset, subset, train_split, test_split)
  first, second = (_table(pair, image, label) for pair in pairs)
  # Of files that are not read.
  first = first._replace(notes=(pairs[0][4:] or ((),))[0])
  tables = (first, second)
  if first.names and second.names and first.names != second.names:
    raise InputError(
      f'{second.where} names its classes {_some(second.names)}, but {first.where} '
      f'{_some(first.names)}; a class must have one number'
    )
  what = path or dataset
  items = [_opener(table, row) for table in tables for row in range(len(table.image))]
  names = [
    f'{table.where}, row {row}' for table in tables for row in range(len(table.image))
  ]
  if first.label_column != second.label_column:
    raise InputError(
      f'{first.where} has its classes in {first.label_column!r}, and {second.where} in '
      f'{second.label_column!r}; name one column as data.label'
    )
  form = Form(size, resize, fit, interpolation, channels)
  signature = [table.signature for table in tables]
  found = decoded_images(items, names, signature, form, what, skip_damaged)
  notes = (*first.notes, *found.notes)
  labels = np.concatenate([table.label for table in tables])[found.rows]
  whole = Split(found.image, labels, np.arange(len(labels), dtype=np.int32))
  border = int(np.searchsorted(found.rows, len(first.image)))
  splits = []
  for rows in (np.arange(border), np.arange(border, len(labels))):
    index = np.arange(len(rows), dtype=np.int32)
    splits.append(replace(whole.take(rows), index=index, names=first.names))
  lost = np.setdiff1d(first.label, splits[0].label)
  if len(lost):
    raise InputError(
      f'{what}: no image of class {lost[0]} can be decoded to train on; repair one, or leave '
      'the class out'
    )
  return replace(splits[0], notes=notes), splits[1].loaded()


def _some(names: Sequence[str]) -> str:
  return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


def _opener(table: Table, row: int) -> Callable[[], Encoded]:
  def opened() -> Encoded:
    value = table.image[row].as_py()
    if isinstance(value, bytes):
      return io.BytesIO(value)
    if not value or (value.get('bytes') is None and not value.get('path')):
      raise ValueError('it is empty')
    if value['bytes'] is not None:
      return io.BytesIO(value['bytes'])
    return table.root / value['path']

  return opened


def _local(path: str, subset: str, train_split: str, test_split: str) -> list[Any]:
  """The two parts of a folder: (table, signature, where, root), the first with notes."""
  root = expanded(path) / subset
  if not root.is_dir():
    raise InputError(
      f'data.path {path!r} has no folder {subset!r}'
      if subset
      else f'data.path {path!r} is no folder; give one with files such as '
      'train-00000-of-00001.parquet and test-00000-of-00001.parquet'
    )
  files = sorted(root.rglob('*.parquet'))
  if not files:
    raise InputError(f'data.path {str(root)!r} has no .parquet files')
  found: list[Any] = []
  read: list[pathlib.Path] = []
  for key, given, usual in (
    ('train_split', train_split, TRAIN),
    ('test_split', test_split, TEST),
  ):
    wanted = (given,) if given else usual
    own = next((o for name in wanted if (o := _of(files, name))), [])
    if not own:
      there = ', '.join(file.name for file in files[:5])
      raise InputError(
        f'{str(root)!r} has no .parquet file whose name begins with {" or ".join(wanted)} '
        f'(it has: {there}{", ..." if len(files) > 5 else ""}); name one as data.{key}'
      )
    places = sorted({str(file.parent.relative_to(root)) for file in own})
    if len(places) > 1:
      raise InputError(
        f'{str(root)!r} has such files in several folders, {_some(places)}; give one of '
        'these as data.subset'
      )
    stats = [(str(file.absolute()), file.stat()) for file in own]
    signature = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    where = own[0].name if len(own) == 1 else f'{own[0].name} to {own[-1].name}'
    found.append((_read(own), signature, where, root))
    read += own
  left = [file.relative_to(root).as_posix() for file in files if file not in read]
  if left:
    note = f'{_some(left)} in {str(root)!r}: {len(left)} .parquet files are not read'
    found[0] = (*found[0], (note,))
  return found


def _of(files: list[pathlib.Path], name: str) -> list[pathlib.Path]:
  """The files of a part: `train.parquet`, `train-00000-of-00002.parquet`, `train/0.parquet`.

  Raises:
    InputError: by their names, files are missing.
  """
  shard = re.compile(rf'{re.escape(name)}-(\d+)-of-(\d+)')
  named = [file for file in files if file.stem == name or shard.fullmatch(file.stem)]
  for file in named:
    told = shard.fullmatch(file.stem)
    beside = [each for each in named if each.parent == file.parent]
    if told and len(beside) != int(told[2]):
      raise InputError(
        f'{str(file)!r} is one of {int(told[2])} files by its name, and {len(beside)} are '
        'there; download the others, or remove those of another version'
      )
  return named or [file for file in files if file.parent.name == name]


def _read(files: list[pathlib.Path]) -> Any:
  import pyarrow
  import pyarrow.parquet

  tables = []
  for file in files:
    try:
      tables.append(pyarrow.parquet.read_table(file))
    except (pyarrow.ArrowException, OSError) as error:
      text = str(error).splitlines()[0]
      raise InputError(
        f'cannot read {str(file)!r} as Parquet ({text}); download it again'
      ) from error
  try:
    return pyarrow.concat_tables(tables)
  except pyarrow.ArrowException as error:
    raise InputError(
      f'{files[0].name!r} and the files after it have different columns; one part of a data '
      'set must have one schema'
    ) from error


def _hub(
  dataset: str, subset: str, train_split: str, test_split: str
) -> list[tuple[Any, list[Any], str, pathlib.Path]]:
  try:
    import datasets
  except ImportError as error:
    raise InputError(
      f'data.dataset {dataset!r} needs the package datasets; install it with '
      "pip install 'datasets', or download the set's .parquet files and give their folder "
      'as data.path'
    ) from error
  try:
    every = datasets.load_dataset(dataset, subset or None)
  except Exception as error:
    # It raises anything, and writes pages of text.
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    raise InputError(
      f'cannot load data.dataset {dataset!r} ({text[:200]}); see huggingface.co/datasets for '
      'names, or give a folder of .parquet files as data.path'
    ) from error
  found = []
  for key, given, usual in (
    ('train_split', train_split, TRAIN),
    ('test_split', test_split, TEST),
  ):
    name = next((each for each in ((given,) if given else usual) if each in every), None)
    if name is None:
      raise InputError(
        f'{dataset} has no split {given or usual[0]!r} (it has: {", ".join(every)}); give '
        f'one of these as data.{key}'
      )
    part = every[name].with_format('arrow')
    signature = ['hub', dataset, subset, name, str(part._fingerprint)]
    found.append((part[:], signature, f'{dataset} {name}', pathlib.Path()))
  return found


def _table(part: Any, image: str, label: str) -> Table:
  """Picks the two columns of a part: (table, signature, where, root)."""
  import pyarrow

  table, signature, where, root = part[:4]
  types = {field.name: field.type for field in table.schema}
  features = _features(table.schema)
  encoded = lambda kind: (
    pyarrow.types.is_binary(kind)
    or pyarrow.types.is_large_binary(kind)
    or (pyarrow.types.is_struct(kind) and 'bytes' in {field.name for field in kind})
  )
  images = [name for name, kind in types.items() if encoded(kind)]
  declared = [k for k, value in features.items() if value.get('_type') == 'ClassLabel']
  whole = [name for name, kind in types.items() if pyarrow.types.is_integer(kind)]
  labels = declared or ([name for name in whole if name == 'label'] or whole)
  image = _column(image, images, list(types), 'image', where)
  label = _column(label, labels, list(types), 'label', where)
  column = table.column(label)
  if column.null_count:
    raise InputError(
      f'{where}: {column.null_count} of {len(column)} labels in {label!r} are empty'
    )
  if pyarrow.types.is_string(types[label]):
    raise InputError(
      f'{where}: the column {label!r} holds names, not class numbers; number the classes '
      'first, such as with datasets.Dataset.class_encode_column'
    )
  names = tuple(features.get(label, {}).get('names') or ())
  if not len(column):
    raise InputError(f'{where} has no rows; an image set needs some')
  pictures = _Rows(table.column(image))
  numbers = as_labels(column.to_numpy(), f'{where}: {label}')
  told = [*signature, image, _beside(table.column(image), root)]
  return Table(pictures, numbers, names, told, where, root, label)


def _beside(column: Any, root: pathlib.Path) -> list[Any]:
  """What tells images apart that lie beside the file, given by their paths."""
  import pyarrow

  if not pyarrow.types.is_struct(column.type):
    return []
  found = []
  for chunk in column.chunks:
    inside = chunk.field('bytes').is_null().to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(inside):
      path = (chunk[int(row)].as_py() or {}).get('path')
      with contextlib.suppress(OSError):
        stat = (root / path).stat() if path else None
        found.append([path, stat and [stat.st_size, stat.st_mtime_ns, stat.st_ino]])
  return found


def _features(schema: Any) -> dict[str, dict[str, Any]]:
  """What the Hugging Face hub notes of each column."""
  try:
    noted = json.loads((schema.metadata or {})[b'huggingface'])
    found = dict(noted['info']['features'])
  except (KeyError, TypeError, ValueError):
    return {}
  return {key: value for key, value in found.items() if isinstance(value, dict)}


def _column(
  chosen: str, fitting: list[str], every: list[str], what: str, where: str
) -> str:
  if chosen:
    if chosen not in every:
      raise InputError(
        f'data.{what} is {chosen!r}, which {where} does not have{nearest(chosen, every)} '
        f'(it has: {", ".join(every)})'
      )
    if what == 'image' and chosen not in fitting:
      raise InputError(f'data.image is {chosen!r}, which holds no encoded images')
    return chosen
  if len(fitting) != 1:
    held = f'columns {", ".join(fitting)} may be it' if fitting else 'no column is it'
    raise InputError(
      f'{where}: which column is the {what}? {held} (it has: {", ".join(every)}); name it '
      f'as data.{what}'
    )
  return fitting[0]
