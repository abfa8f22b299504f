"""Image sets of the Hugging Face hub: Parquet files, or the `datasets` package."""

from dataclasses import replace

import numpy as np

from jaxrkd.data.decode import Form
from jaxrkd.data.decoded_images import decoded_images
from jaxrkd.data.image_parts import image_parts
from jaxrkd.data.parquet_columns import columns_of
from jaxrkd.data.parquet_files import parts_of_folder, parts_of_hub, some
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError


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
  notes: tuple[str, ...] = ()
  if path:
    parts, notes = parts_of_folder(path, subset, train_split, test_split)
  else:
    parts = parts_of_hub(dataset, subset, train_split, test_split)
  first, second = tables = [columns_of(part, image, label) for part in parts]
  train, test = (part.where for part in parts)
  if first.label_column != second.label_column:
    raise InputError(
      f'{train} has its classes in {first.label_column!r}, and {test} in '
      f'{second.label_column!r}; name one column as data.label'
    )
  if first.names and second.names and first.names != second.names:
    raise InputError(
      f'{test} names its classes {some(second.names)}, but {train} {some(first.names)}; a '
      'class must have one number'
    )
  sizes = [len(table.image) for table in tables]
  found = decoded_images(
    [item for table in tables for item in table.items()],
    [f'{p.where}, row {row}' for p, n in zip(parts, sizes) for row in range(n)],
    [table.signature for table in tables],
    Form(size, resize, fit, interpolation, channels),
    path or dataset,
    skip_damaged,
  )
  labels = np.concatenate([table.label for table in tables])
  number = np.repeat(np.arange(len(tables)), sizes)
  splits = image_parts(found, number, labels, first.names, path or dataset)
  learned, measured = (replace(split, names=first.names) for split in splits)
  return replace(learned, notes=(*notes, *learned.notes)), measured.loaded()
