"""Any TFDS image classification set, read without TensorFlow."""

import dataclasses
import logging
import os
import re
import socket
import urllib.request
from typing import Any

import numpy as np

from jaxrkd.data.dataset import make_split
from jaxrkd.data.split import Split
from jaxrkd.data.tfds_reasons import prepare_with, reason, shortened
from jaxrkd.errors import InputError, nearest

FORMAT = 'array_record'


def tfds(
  dataset: str = 'cifar10',
  data_dir: str = '',
  train_split: str = 'train',
  test_split: str = 'test',
) -> tuple[Split, Split]:
  """Reads two splits, downloading the set where there is a network.

  Args:
    dataset: a TFDS name such as 'cifar10' or 'svhn_cropped', with features 'image' (all
      of one size) and 'label'.
    data_dir: where TFDS keeps data; empty takes TFDS_DATA_DIR, then TFDS's own default.
    train_split: what to train on, also a part of a split or several, such as 'train[:90%]'
      or 'train+extra'.
    test_split: what to measure on. Of a set without 'test' it is 'validation', or the last
      fifth of 'train' where there is neither, which is said.

  Raises:
    InputError: unknown name, not prepared and not to be had, prepared in another format,
      damaged, no such split, or not such a set.
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
  # TFDS raises anything from OSError to its own types, and writes pages of text.
  try:
    builder = tensorflow_datasets.builder(dataset, data_dir=os.path.expanduser(root))
  except Exception as error:
    raise reason(error, dataset, root, 'opened') from error
  _check_features(builder.info.features, dataset)
  if builder.is_prepared():
    _check_format(builder, dataset)
  else:
    try:
      _require_network()
      builder.download_and_prepare(file_format=FORMAT)
    except Exception as error:
      raise reason(error, dataset, root, 'downloaded and prepared') from error
  splits, notes = _chosen_splits(list(builder.info.splits), train_split, test_split)
  _check_splits(list(builder.info.splits), splits, dataset)
  try:
    sources = _open(builder, splits, dataset)
    parts = [_read(source, f'{dataset} {of}') for source, of in zip(sources, splits)]
  except InputError:
    raise
  except Exception as error:
    raise reason(error, dataset, str(builder.data_dir), 'read') from error
  names = tuple(getattr(builder.info.features['label'], 'names', None) or ())
  first, second = (dataclasses.replace(part, names=names) for part in parts)
  notes = tuple(f'{dataset} {note}' for note in notes)
  return dataclasses.replace(first, notes=(*notes, *first.notes)), second


def _chosen_splits(
  there: list[str], train: str, test: str
) -> tuple[list[str], tuple[str, ...]]:
  """The two splits, another one for a test split that is not there, and what to say."""
  if test != 'test' or 'test' in there:
    return [train, test], ()
  if 'validation' in there:
    return [train, 'validation'], ("has no split 'test': 'validation' is measured on",)
  if train != 'train' or 'train' not in there:
    # A part of it was chosen, and which part is left for the test nobody said.
    return [train, test], ()
  note = (
    "has no split 'test': the last fifth of 'train' is measured on and not trained on"
  )
  return ['train[:80%]', 'train[80%:]'], (note,)


def _require_network() -> None:
  """Fails at once where no name resolves: TFDS itself retries for minutes."""
  if not urllib.request.getproxies():
    socket.getaddrinfo('storage.googleapis.com', 443)


def _check_features(features: Any, dataset: str) -> None:
  """Refuses, before anything is downloaded, what is no image classification set."""
  there = dict(features) if hasattr(features, 'keys') else {}
  if 'image' not in there or 'label' not in there:
    raise InputError(
      f'{dataset} has the features {", ".join(there) or "none"}; an image '
      "classification set has 'image' and 'label'; bring others into a .npz (data.name=npz)"
    )
  label = there['label']
  if label.shape != () or np.dtype(label.np_dtype).kind not in 'iu':
    raise InputError(
      f"the feature 'label' of {dataset} is {np.dtype(label.np_dtype)} {list(label.shape)}; "
      'it must be one class number for each image; bring others into a .npz (data.name=npz)'
    )


def _check_format(builder: Any, dataset: str) -> None:
  formats = [each.value for each in builder.info.available_file_formats()]
  if FORMAT not in formats:
    raise InputError(
      f'{dataset} lies in {builder.data_dir} as {" and ".join(formats)} files, but without '
      f'TensorFlow only {FORMAT} is read; prepare it again in another folder with '
      f'{prepare_with(dataset, "FOLDER")}, and give that folder as --data_dir or '
      'TFDS_DATA_DIR'
    )


def _check_splits(there: list[str], splits: list[str], dataset: str) -> None:
  for key, split in zip(('train_split', 'test_split'), splits):
    # 'train[:90%]+validation' names two.
    names = re.sub(r'\[[^\]]*\]', '', split).split('+')
    missing = [name for name in names if name.strip() not in there]
    if missing:
      half = f'data.train_split={there[0]}[:80%] and data.test_split={there[0]}[80%:]'
      raise InputError(
        f'{dataset} has no split {missing[0]!r} (it has: {", ".join(there)}); give one '
        f'of these as data.{key}, or divide one, such as with {half}'
      )


def _open(builder: Any, splits: list[str], dataset: str) -> list[Any]:
  try:
    return builder.as_data_source(split=splits, file_format=FORMAT)
  except ValueError as error:
    raise InputError(
      f'{dataset} cannot be cut into data.train_split={splits[0]!r} and '
      f'data.test_split={splits[1]!r} ({shortened(error)}); see '
      "tensorflow.org/datasets/splits for how parts are written, such as 'train[:80%]'; "
      'none may be empty'
    ) from error


def _read(source: Any, what: str) -> Split:
  first = source[0]['image']
  images = np.empty((len(source), *first.shape), first.dtype)
  labels = np.empty(len(source), np.int64)
  for row, example in enumerate(source):
    if example['image'].shape != first.shape:
      raise InputError(
        f'{what} has images of different sizes, {first.shape} and '
        f'{example["image"].shape}; resize them to one size and use data.name=npz'
      )
    images[row], labels[row] = example['image'], example['label']
  return make_split(images, labels, what)
