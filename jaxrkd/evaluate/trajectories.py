"""What a network makes of every image after every epoch, as AKD looks at training.

Maroto et al., "On the benefits of knowledge distillation for adversarial robustness",
sections 3 and E: the probability of the right class of each image, clean and under an attack
against the network of that epoch, and the entropy of its predictions.
"""

import functools
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Search, example_keys
from jaxrkd.data import Split
from jaxrkd.data.batches import plain_order
from jaxrkd.errors import InputError
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.models import Net
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.precision import float32_products

Array = jax.Array
Tree = Any
# What is recorded of an image, in the order of the array's second axis.
QUANTITIES = ('clean', 'adversarial', 'entropy')


class Trajectories(NamedTuple):
  """A recording of one split.

  Attributes:
    clean: float32 [epochs, N], probability of the right class.
    adversarial: the same, under the attack.
    entropy: float32 [epochs, N], of the clean prediction, natural logarithm.
    place: int [N], of each image in its source.
    label: int [N].
    about: what was recorded with: attack, radius, epochs.
  """

  clean: np.ndarray
  adversarial: np.ndarray
  entropy: np.ndarray
  place: np.ndarray
  label: np.ndarray
  about: dict[str, Any]

  @property
  def done(self) -> int:
    """How many epochs are there."""
    return int(np.isfinite(self.clean).all(1).sum())


class Recorder:
  """Writes a row for each epoch into one array.

  Nothing of training is touched: random numbers follow from the images' indices, and a
  row that is written again, after a kill, is the same.

  Args:
    net: the network.
    split: the images, as they are in their source; no augmentation.
    search: the attack.
    path: of the array; `PATH.json` beside it says what it holds.
    epochs: how many there will be.
    mesh: the devices.
    batch_size: images at a time, over all devices.
    key: typed key, scalar.
    about: what tells this recording from others.

  Raises:
    InputError: the file holds another recording.
  """

  def __init__(
    self,
    net: Net,
    split: Split,
    search: Search,
    path: pathlib.Path,
    epochs: int,
    mesh: jax.sharding.Mesh,
    batch_size: int,
    key: Array,
    about: Mapping[str, Any],
  ):
    self._path, self._key, self._count = path, key, len(split)
    self._shape = (epochs, len(QUANTITIES), len(split))
    self._begin(split, {**about, 'epochs': epochs})
    rows = sharding.rows(mesh)
    # On the devices as bytes, once; the last batch is filled up with the first image.
    places = [np.maximum(p, 0) for p in plain_order(len(split), batch_size)]
    image, index = np.asarray(split.image), split.index
    label = split.label.astype(np.int32)
    self._batches = [
      sharding.put({'image': image[p], 'label': label[p], 'index': index[p]}, rows)
      for p in places
    ]
    self._ask = jax.jit(
      functools.partial(_probabilities, net, search),
      out_shardings=sharding.replicated(mesh),
    )

  def _begin(self, split: Split, about: dict[str, Any]) -> None:
    """Makes the file before the first epoch, or finds it after a kill."""
    mark = fingerprint([about, self._shape, split.index.tolist()])
    said = self._path.with_name(f'{self._path.name}.json')
    if not sharding.is_first_process():
      return
    if said.is_file():
      old = json.loads(said.read_text(encoding='utf-8'))
      if old['mark'] != mark:
        raise InputError(
          f'{str(self._path)!r} holds a recording of another training; use another '
          '--workdir'
        )
      return
    with files.replacing(self._path) as temporary, temporary.open('wb') as file:
      np.save(file, np.full(self._shape, np.nan, np.float32), allow_pickle=False)
    whole = {
      'mark': mark,
      'quantities': QUANTITIES,
      'about': about,
      'index': split.index.tolist(),
      'label': split.label.tolist(),
    }
    files.write_json(said, whole)

  def __call__(self, epoch: int, variables: Tree) -> None:
    """Records the network of an epoch, counted from 1: (params, stats)."""
    # All are handed out before the first is waited for.
    found = [self._ask(variables, self._key, batch) for batch in self._batches]
    rows = np.concatenate(jax.device_get(found), axis=1)[:, : self._count]
    if sharding.is_first_process():
      whole = np.load(self._path, mmap_mode='r+')
      whole[epoch - 1] = rows
      whole.flush()


def _probabilities(
  net: Net, search: Search, variables: Tree, key: Array, batch: Mapping[str, Array]
) -> Array:
  """`QUANTITIES` of a batch, [3, B]."""
  images = batch['image'].astype(jnp.float32) / 255
  label, keys = batch['label'], example_keys(key, batch['index'])
  with float32_products():
    logits_fn = net.logits_fn(*variables)
    objective = lambda x: losses.cross_entropy(logits_fn(x), label)
    moved = search(keys, objective, images)
    logits = logits_fn(images)
    shown = [
      losses.true_probability(logits, label),
      losses.true_probability(logits_fn(moved), label),
      losses.entropy(logits),
    ]
  return jnp.stack([row.astype(jnp.float32) for row in shown])


def read(path: pathlib.Path) -> Trajectories:
  """A recording, as far as it goes; epochs that are missing are NaN.

  Raises:
    InputError: there is none.
  """
  said = path.with_name(f'{path.name}.json')
  if not said.is_file() or not path.is_file():
    raise InputError(
      f'{str(path)!r} is not there; train with --config.trajectories.splits=train,test to have it'
    )
  about = json.loads(said.read_text(encoding='utf-8'))
  whole = np.load(path, allow_pickle=False)
  clean, adversarial, entropy = (whole[:, k] for k in range(len(QUANTITIES)))
  place, label = np.asarray(about['index']), np.asarray(about['label'])
  return Trajectories(clean, adversarial, entropy, place, label, about['about'])
