"""Any TFDS image classification set, read without TensorFlow."""

import logging
import os
import socket
import urllib.request
from typing import Any

import numpy as np

from jaxrkd.data.dataset import Split, make_split
from jaxrkd.errors import InputError, nearest


def tfds(dataset: str = 'cifar10', data_dir: str = '') -> tuple[Split, Split]:
  """Reads the splits 'train' and 'test', downloading them where there is a network.

  Args:
    dataset: a TFDS name such as 'cifar10' or 'svhn_cropped', with features 'image' (all
      of one size) and 'label'.
    data_dir: where TFDS keeps data; empty takes TFDS_DATA_DIR, then TFDS's own default.

  Raises:
    InputError: unknown name, not prepared and no network, or not such a set.
  """
  # Imported here: it takes seconds and only this source needs it.
  import tensorflow_datasets

  root = data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  known = tensorflow_datasets.list_builders(with_community_datasets=False)
  if dataset.split('/')[0].split(':')[0] not in known:
    raise InputError(
      f'unknown TFDS data set {dataset!r}{nearest(dataset, known)}; see '
      'tensorflow.org/datasets/catalog for names, or use data.name=npz for your own files'
    )
  # It advises a faster image decoder on every run.
  logging.getLogger('absl').setLevel(logging.ERROR)
  try:
    builder = tensorflow_datasets.builder(
      dataset, data_dir=os.path.expanduser(root), file_format='array_record'
    )
    if not builder.is_prepared():
      _require_network()
      builder.download_and_prepare(file_format='array_record')
    parts = builder.as_data_source(split=['train', 'test'])
  except Exception as error:
    # TFDS raises anything from OSError to its own types here, and writes pages of text.
    reason = str(error).strip().splitlines() or ['']
    raise InputError(
      f'{dataset} is not in {root} and cannot be downloaded here '
      f'({type(error).__name__}: {reason[0][:100]}): prepare it where there is a network '
      f'with `python -c "import tensorflow_datasets as t; t.data_source({dataset!r}, '
      "builder_kwargs=dict(file_format='array_record'))\"`, copy the folder and name it "
      'with --data_dir or TFDS_DATA_DIR'
    ) from error
  return _read(parts[0], f'{dataset} train'), _read(parts[1], f'{dataset} test')


def _require_network() -> None:
  """Fails at once where no name resolves: TFDS itself retries for minutes."""
  if not urllib.request.getproxies():
    socket.getaddrinfo('storage.googleapis.com', 443)


def _read(source: Any, what: str) -> Split:
  first = source[0]
  if 'image' not in first or 'label' not in first:
    raise InputError(
      f'{what} has the features {", ".join(first)}; an image classification set has '
      "'image' and 'label'"
    )
  shape = first['image'].shape
  images = np.empty((len(source), *shape), np.uint8)
  labels = np.empty(len(source), np.int32)
  for row, example in enumerate(source):
    if example['image'].shape != shape:
      raise InputError(
        f'{what} has images of different sizes, {shape} and {example["image"].shape}; '
        'resize them to one size and use data.name=npz'
      )
    images[row], labels[row] = example['image'], example['label']
  return make_split(images, labels, what)
