"""The parts of an image set as tables: Parquet files in a folder, or the package `datasets`."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxrkd.data.image_cache import file_signature
from jaxrkd.errors import InputError
from jaxrkd.paths import expanded

# How the files of a part begin.
TRAIN, TEST = ('train',), ('test', 'validation', 'valid', 'val')


class Part(NamedTuple):
  """Rows to train on, or to measure on.

  Attributes:
    table: of Arrow.
    signature: changes whenever the rows do.
    where: they lie, for messages.
    root: where images lie that are given by path.
  """

  table: Any
  signature: list[Any]
  where: str
  root: pathlib.Path


def some(names: Sequence[str]) -> str:
  """The first of several names."""
  return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


def parts_of_folder(
  path: str, subset: str, train_split: str, test_split: str
) -> tuple[list[Part], tuple[str, ...]]:
  """The two parts of a folder, and what to say of files that are not read.

  Args:
    path: of the folder.
    subset: a folder in it.
    train_split: beginning of the names to train on; empty is 'train'.
    test_split: beginning of the names to measure on; empty is 'test' or 'validation'.

  Raises:
    InputError: no such folder or files, or files that are missing or damaged.
  """
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
  found: list[Part] = []
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
        f'{str(root)!r} has such files in several folders, {some(places)}; give one of '
        'these as data.subset'
      )
    signature = [file_signature(file) for file in own]
    where = own[0].name if len(own) == 1 else f'{own[0].name} to {own[-1].name}'
    found.append(Part(_read(own), signature, where, root))
    read += own
  left = [file.relative_to(root).as_posix() for file in files if file not in read]
  if not left:
    return found, ()
  return found, (
    f'{some(left)} in {str(root)!r}: {len(left)} .parquet files are not read',
  )


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


def parts_of_hub(
  dataset: str, subset: str, train_split: str, test_split: str
) -> list[Part]:
  """The two parts of a set that the package `datasets` loads; arguments as above.

  Raises:
    InputError: the package is not installed, or there is no such set or split.
  """
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
  found: list[Part] = []
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
    found.append(Part(part[:], signature, f'{dataset} {name}', pathlib.Path()))
  return found
