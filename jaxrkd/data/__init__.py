"""Data sources by name, splits, batches and augmentation.

A source is one file here plus one row in `SOURCES`: (**options) -> (train, test), each
made by `make_split`. What all sources must hold is checked in `assemble`.
"""

import functools
from collections.abc import Callable

from jaxrkd.data.dataset import Dataset, Split, assemble, make_split, with_extra
from jaxrkd.data.digits import digits
from jaxrkd.data.mat import mat
from jaxrkd.data.npy import npy
from jaxrkd.data.npz import extra_images, npz
from jaxrkd.data.synthetic import synthetic
from jaxrkd.data.tfds import tfds

SOURCES: dict[str, Callable[..., tuple[Split, Split]]] = {
  'cifar10': functools.partial(tfds, dataset='cifar10'),
  'cifar100': functools.partial(tfds, dataset='cifar100'),
  'tfds': tfds,
  'digits': digits,
  'npz': npz,
  'npy': npy,
  'mat': mat,
  'synthetic': synthetic,
}

__all__ = [
  'SOURCES',
  'Dataset',
  'Split',
  'assemble',
  'extra_images',
  'make_split',
  'with_extra',
]
