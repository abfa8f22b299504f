"""The images on which exports are measured: clean ones, and adversarial ones that are kept."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxrkd.attacks import UNFORESEEN
from jaxrkd.evaluate.fingerprint import fingerprint, images_digest, weights_digest
from jaxrkd.evaluate.partial import Partial
from jaxrkd.evaluate.results import index_hash, versions
from jaxrkd.evaluate.robustness import load_split, measure
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.verdicts import Verdicts, stored
from jaxrkd.experiment import make
from jaxrkd.models import Net
from jaxrkd.runtime import sharding

Tree = Any
BATCH = 256


class CheckImages(NamedTuple):
  """Images of a test set and what the attack made of them.

  Attributes:
    clean: [N, H, W, C] in [0, 1], float32.
    adversarial: likewise; where the attack failed, what it was left with.
    label: [N].
    correct: [N] bool, whether the network is right on the clean image: no other is attacked.
    about: how they were made, for the card.
  """

  clean: np.ndarray
  adversarial: np.ndarray
  label: np.ndarray
  correct: np.ndarray
  about: dict[str, Any]


def check_images(
  config: ConfigDict,
  net: Net,
  variables: tuple[Tree, Tree],
  folder: pathlib.Path,
  count: int,
  data_dir: str = '',
) -> CheckImages:
  """Attacks the first test images with the first PGD of a run's evaluation.

  The images are kept in `folder`, so that every format is measured on the same ones.

  Args:
    config: of the run.
    net: the network that is exported, in float32.
    variables: its (params, stats).
    folder: for an .npz file per network and attack.
    count: how many images; 0 takes all.
    data_dir: where TFDS data lie.
  """
  data = make.dataset(config, data_dir)
  mesh = sharding.data_mesh()
  split = getattr(data, config.evaluation.split)
  loaded = load_split(split, config.evaluation.batch_size, mesh, count)
  column = _column(config)
  attack = make.evaluation_attacks(config)[column]
  threat, key = make.evaluation_threats(config)[column], jax.random.key(config.seed)
  options = config.evaluation.attacks[column].to_dict()
  weights = weights_digest(variables)

  def compute(partial: Partial) -> Verdicts:
    own = Subject(net, variables)
    # As on a surrogate: made to the end, not to where this network fails.
    return measure(
      own,
      loaded,
      attack,
      key,
      name=column,
      threat=threat,
      surrogate=own,
      partial=partial,
      keep=True,
      title='adversarial images:',
    )

  made_by = {name: value for name, value in versions().items() if name != 'device'}
  # With how they are made: images of older versions ended where this network failed.
  how = 'to the end'
  settings = [weights, images_digest(loaded.images), options, repr(threat), how]
  settings += [config.seed, made_by]
  path = folder / f'{column}-{weights[:8]}-{len(loaded.images)}.npz'
  found = stored([path], fingerprint(settings), compute)
  assert found.images is not None
  return CheckImages(
    loaded.images.pixels(np.arange(len(loaded.images))).astype(np.float32),
    found.images.astype(np.float32),
    found.label,
    found.clean_correct,
    {
      'data': data.name,
      'split': config.evaluation.split,
      'images': len(found.label),
      'index_hash': index_hash(found.index),
      'attack': {**options, 'column': column, 'threat': repr(threat)},
      'adversarial_images': f'{folder.name}/{path.name}',
    },
  )


def calibration_images(config: ConfigDict, count: int, data_dir: str = '') -> np.ndarray:
  """Training images as a network sees them, [N, H, W, C] in [0, 1], float32.

  Evenly spaced over the training split, so that no class is left out where files are sorted.

  Args:
    config: of the run.
    count: how many at most.
    data_dir: where TFDS data lie.
  """
  split = make.dataset(config, data_dir).train
  rows = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).round())
  part = split.take(rows.astype(int))
  found = Images(part.image, part.label, part.index).pixels(np.arange(len(rows)))
  return found.astype(np.float32)


def _column(config: ConfigDict) -> str:
  """The attack that makes the images: a PGD of the evaluation, or its first in a ball."""
  columns = {
    name: node.name
    for name, node in sorted(config.evaluation.attacks.items())
    if node.name not in UNFORESEEN and not node.surrogate
  }
  pgd = [name for name, row in columns.items() if row.startswith('pgd')]
  return (pgd or list(columns) or list(config.evaluation.attacks))[0]


def logits_of(
  predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray
) -> np.ndarray:
  """Logits of many images, [N, classes], some at a time."""
  parts = [images[first : first + BATCH] for first in range(0, len(images), BATCH)]
  return np.concatenate([np.asarray(predict(part)) for part in parts])
