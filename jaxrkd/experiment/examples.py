"""A few adversarial images of a measured network, kept for its page."""

import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.attacks import AnyAttack, Threat
from jaxrkd.attacks.threat import told
from jaxrkd.evaluate import robustness
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.runtime import files, sharding


class Way(NamedTuple):
  """An attack of the table, as it is made again.

  Attributes:
    name: of the column.
    attack: itself.
    threat: the ball.
    verdicts: what it did to all images.
  """

  name: str
  attack: AnyAttack
  threat: Threat
  verdicts: Verdicts


def strongest(ways: list[Way]) -> Way | None:
  """The attack that left fewest images; a single one before a cascade, which costs more."""
  order = lambda way: (
    len(way.verdicts.about['attacks']) > 1,
    way.verdicts.robust_accuracy,
  )
  return min(ways, key=order, default=None)


def chosen(verdicts: Verdicts, count: int) -> np.ndarray:
  """Places of images that are right without an attack: the first of each class in turn.

  Whether an attack broke them plays no part, so that they show what is usual.
  """
  right = np.flatnonzero(verdicts.clean_correct)
  label = verdicts.label[right]
  # How many images of its class come before each.
  turn = np.zeros(len(right), int)
  for number in np.unique(label):
    own = label == number
    turn[own] = np.arange(own.sum())
  first = right[np.lexsort((label, turn))[:count]]
  return first[np.lexsort((first, verdicts.label[first]))]


def keep(
  path: pathlib.Path,
  way: Way,
  subject: Subject,
  loaded: Loaded,
  key: jax.Array,
  count: int,
  identity: Mapping[str, Any],
  search: Subject | None = None,
) -> None:
  """Attacks a few images as the table did, and writes them; nothing if they are there.

  Args:
    path: of an .npz: `attack`, `threat`, `index`, `label`, `clean_prediction`,
      `adversarial_prediction`, `robust`, `image` uint8 and `adversarial` float32.
    way: the attack.
    subject: the network.
    loaded: the split.
    key: that of the table.
    count: images at most.
    identity: of the network.
    search: the same network in the precision that attacks search in.
  """
  rows = chosen(way.verdicts, count)
  # With what the table says of them, which other settings of the attack may change.
  told_of = [rows.tolist(), way.verdicts.margin[rows].tolist()]
  mark = fingerprint([dict(identity), way.name, told(way.threat), *told_of])
  if sharding.seen_by_all(_mark(path) == mark) or not len(rows):
    return
  every = loaded.images
  part = Images(every.image[rows], every.label[rows], every.index[rows])
  found = robustness.measure(
    subject,
    Loaded(part, loaded.batch_size, loaded.mesh),
    way.attack,
    key,
    name=way.name,
    threat=way.threat,
    search=search,
    keep=True,
  )
  assert found.images is not None
  if sharding.is_first_process():
    files.write_npz(
      path,
      {
        'mark': np.array(mark),
        'attack': np.array(way.name),
        'threat': np.array(told(way.threat)),
        'eps': np.array(way.threat.eps),
        'index': found.index,
        'label': found.label,
        'clean_prediction': found.clean_prediction,
        'adversarial_prediction': found.adversarial_prediction,
        'robust': found.robust,
        'image': np.round(255 * part.pixels(np.arange(len(rows)))).astype(np.uint8),
        'adversarial': found.images,
      },
    )


def _mark(path: pathlib.Path) -> str:
  try:
    with np.load(path) as found:
      return str(found['mark'])
  except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
    return ''
