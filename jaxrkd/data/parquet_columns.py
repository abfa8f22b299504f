"""Which columns of a table hold images and classes, as the Hugging Face hub notes them."""

import contextlib
import functools
import io
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.data.arrays import as_labels
from jaxrkd.data.decode import Encoded
from jaxrkd.data.image_cache import file_signature
from jaxrkd.data.parquet_files import Part
from jaxrkd.errors import InputError, nearest


class Table(NamedTuple):
  """Rows of one part.

  Attributes:
    image: a column of encoded images (structs of `bytes` and `path`).
    label: class numbers.
    names: of the classes.
    signature: changes whenever the images do.
    root: where images lie that are given by path.
    label_column: name of the column of classes.
  """

  image: Sequence[Any]
  label: np.ndarray
  names: tuple[str, ...]
  signature: list[Any]
  root: pathlib.Path
  label_column: str

  def items(self) -> list[Callable[[], Encoded]]:
    """What opens each image."""
    return [functools.partial(self._opened, row) for row in range(len(self.image))]

  def _opened(self, row: int) -> Encoded:
    value = self.image[row].as_py()
    if isinstance(value, bytes):
      return io.BytesIO(value)
    if not value or (value.get('bytes') is None and not value.get('path')):
      raise ValueError('it is empty')
    if value['bytes'] is not None:
      return io.BytesIO(value['bytes'])
    return self.root / value['path']


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


def columns_of(part: Part, image: str, label: str) -> Table:
  """Picks the columns of images and classes.

  Args:
    part: of the set.
    image: the column of images; empty takes the only one that can be it.
    label: the column of classes; empty takes the only one that can be it.

  Raises:
    InputError: no such column, several that may be it, or one without classes.
  """
  import pyarrow

  table, where = part.table, part.where
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
  told = [*part.signature, image, _beside(table.column(image), part.root)]
  return Table(pictures, numbers, names, told, part.root, label)


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
        found.append(file_signature(root / path) if path else [])
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
