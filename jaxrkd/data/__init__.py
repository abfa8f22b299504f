"""Data sources by name, splits, batches and augmentation.

A source is one file here plus one row in `SOURCES`: (**options) -> (train, test), each
made by `make_split`. What all sources must hold is checked in `assemble`.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxrkd.data.cifar10_corrupted import cifar10_corrupted
from jaxrkd.data.dataset import Dataset, assemble, make_split, with_extra
from jaxrkd.data.digits import digits
from jaxrkd.data.extra import extra_images
from jaxrkd.data.folder import folder
from jaxrkd.data.gtsrb import gtsrb
from jaxrkd.data.mat import mat
from jaxrkd.data.npy import npy
from jaxrkd.data.npz import npz
from jaxrkd.data.parquet import parquet
from jaxrkd.data.split import Split
from jaxrkd.data.svhn import svhn
from jaxrkd.data.synthetic import synthetic
from jaxrkd.data.tfds import tfds
from jaxrkd.errors import InputError, choose
from jaxrkd.rows import build

SOURCES: dict[str, Callable[..., tuple[Split, Split]]] = {
  'cifar10': functools.partial(tfds, dataset='cifar10'),
  'cifar100': functools.partial(tfds, dataset='cifar100'),
  'cifar10_corrupted': cifar10_corrupted,
  'tfds': tfds,
  'digits': digits,
  'npz': npz,
  'npy': npy,
  'mat': mat,
  'folder': folder,
  'parquet': parquet,
  'svhn': svhn,
  'gtsrb': gtsrb,
  'tiny_imagenet': functools.partial(folder, size=64),
  'synthetic': synthetic,
}


def read_source(
  name: str, options: Mapping[str, Any] | None = None, data_dir: str = ''
) -> tuple[Split, Split]:
  """The two splits of a source, (train, test), as it gives them.

  Args:
    name: a row of `SOURCES`.
    options: those of the row.
    data_dir: where TFDS data lie, for a row that asks for it.

  Raises:
    InputError: no such row, or one that cannot be called so or gives no two splits.
  """
  options = dict(options or {})
  if 'data_dir' in inspect.signature(choose(SOURCES, name, 'data source')).parameters:
    options['data_dir'] = data_dir
  made = build(SOURCES, name, 'data source', object, chosen=options)
  if not isinstance(made, tuple | list) or len(made) != 2:
    raise InputError(
      f'data source {name!r} returned {type(made).__name__}, and must return two splits, '
      '(train, test), as jaxrkd.data.make_split(images, labels, name) makes them'
    )
  train, test = made
  return train, test


__all__ = [
  'SOURCES',
  'Dataset',
  'Split',
  'assemble',
  'extra_images',
  'make_split',
  'read_source',
  'with_extra',
]
