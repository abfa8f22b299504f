"""What is measured, on which images, and what is known of each so far."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.attacks import Cascade, Threat
from jaxrkd.attacks.lanes import Classifier, ladder
from jaxrkd.evaluate.evaluator import Evaluation, evaluator
from jaxrkd.evaluate.partial import Partial
from jaxrkd.runtime import sharding

Tree = Any


class Subject(NamedTuple):
  """A network with its weights.

  Attributes:
    net: its functions.
    variables: (params, stats).
  """

  net: Classifier
  variables: tuple[Tree, Tree]


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
  """What is attacked, in this process's memory; every process has all of it.

  Attributes:
    image: [N, H, W, C], uint8 or floats in [0, 1].
    label: int32 [N].
    index: int32 [N], which random numbers belong to an image.
  """

  image: np.ndarray
  label: np.ndarray
  index: np.ndarray

  def __len__(self) -> int:
    return len(self.label)

  def pixels(self, places: np.ndarray) -> np.ndarray:
    """Some images as floats in [0, 1]."""
    found = self.image[places]
    if found.dtype == np.uint8:
      return found.astype(np.float32) / 255
    return found


@dataclasses.dataclass(eq=False)
class Ledger:
  """What is known of each image; arrays of N rows.

  Attributes:
    standing: right without an attack, and not broken so far.
    stage: the number of the attack that broke it; -1 where none did.
    prediction: on its adversarial image, or on the last one that was looked at.
    margin: largest wrong logit minus the true one, there.
    queries: forward passes of the search.
    claimed: whether the search, in its precision, took it for broken.
    refuted: how often the measured network did not agree.
    reached: the last attack that was begun on it, -1 before the first.
    run: runs of the current attack that it withstood.
    not_finite: [N, attacks], whether an attack met slopes, logits or pixels there that are
      no numbers.
    outside: [N, attacks], whether it made images there that do not count, because they lie
      outside of [0, 1] or of the ball.
    eight_bit: whether its adversarial image stays one when it is rounded to 8 bits.
  """

  standing: np.ndarray
  stage: np.ndarray
  prediction: np.ndarray
  margin: np.ndarray
  queries: np.ndarray
  claimed: np.ndarray
  refuted: np.ndarray
  reached: np.ndarray
  run: np.ndarray
  not_finite: np.ndarray
  outside: np.ndarray
  eight_bit: np.ndarray

  @classmethod
  def begin(cls, images: Images, clean: Evaluation, attacks: int) -> 'Ledger':
    count = len(images)
    return cls(
      standing=clean.right(images.label),
      stage=np.full(count, -1, np.int32),
      prediction=np.array(clean.prediction),
      margin=np.array(clean.margin, np.float32),
      queries=np.zeros(count, np.int64),
      claimed=np.zeros(count, bool),
      refuted=np.zeros(count, np.int32),
      reached=np.full(count, -1, np.int32),
      run=np.zeros(count, np.int32),
      not_finite=np.zeros((count, attacks), bool),
      outside=np.zeros((count, attacks), bool),
      eight_bit=np.zeros(count, bool),
    )

  def arrays(self) -> dict[str, np.ndarray]:
    return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


class Task:
  """A cascade of attacks, the images, and how far it is with them.

  Args:
    target: the network that is measured; its word decides.
    cascade: the attacks.
    images: all images.
    clean: what `target` says about them.
    mesh: the devices.
    key: random numbers depend on it and on an image's index alone.
    batch_size: images at a time, a multiple of the devices.
    threat: what an adversarial image must lie in besides [0, 1]; None for nothing.
    search: the network that is searched: `target` in another precision, or another
      network.
    transfer: try what every run ends with on `target`, whether `search` fell for it or not.
    partial: where to write how far it is; None for nowhere.
    keep: keep the adversarial images.
    title: what is shown while it works; nothing if empty.
  """

  def __init__(
    self,
    target: Subject,
    cascade: Cascade,
    images: Images,
    clean: Evaluation,
    *,
    mesh: jax.sharding.Mesh,
    key: jax.Array,
    batch_size: int,
    threat: Threat | None = None,
    search: Subject | None = None,
    transfer: bool = False,
    partial: Partial | None = None,
    keep: bool = False,
    title: str = '',
  ):
    self.target, self.search = target, search or target
    self.cascade, self.images, self.clean = cascade, images, clean
    self.mesh, self.key = mesh, key
    self.rows = sharding.rows(mesh)
    self.sizes = ladder(batch_size, mesh.size)
    self.threat, self.transfer, self.title = threat, transfer, title
    self.partial = partial
    self.ledger = Ledger.begin(images, clean, len(cascade.attacks))
    self.seconds = dict.fromkeys((name for name, _ in cascade.attacks), 0.0)
    self.found = images.pixels(np.arange(len(images))) if keep else None
    # Which of them are not noted yet.
    self._changed = np.zeros(len(images), bool)
    self.stage = 0
    self.held: dict[str, np.ndarray] | None = None
    self._resume()

  def evaluate(
    self, subject: Subject, places: np.ndarray, images: np.ndarray, salt: int
  ) -> Evaluation:
    """What a network says about a few images at these places."""
    return evaluate(
      subject,
      self.images,
      places,
      images,
      self.mesh,
      self.sizes,
      jax.random.fold_in(self.key, salt),
      self.threat,
    )

  def keep(self, places: np.ndarray, images: np.ndarray) -> None:
    """Keeps adversarial images, if they are wanted."""
    if self.found is not None:
      self.found[places] = images
      self._changed[places] = True

  def save(self, held: dict[str, np.ndarray] | None) -> None:
    """Notes how far it is; `held` is what is in the lanes, None for nothing."""
    if self.partial is None:
      return
    if sharding.is_first_process():
      places = np.flatnonzero(self._changed)
      rows = None if self.found is None else (places, self.found[places])
      self.partial.write(self.stage, self.ledger.arrays(), self.seconds, held, rows)
    self._changed[:] = False

  def _resume(self) -> None:
    old = self.partial.read() if self.partial else None
    if not sharding.seen_by_all(old is not None) or old is None:
      return
    if old.ledger.keys() != self.ledger.arrays().keys():
      return  # of another version
    self.stage, self.held = old.stage, old.held
    self.ledger = Ledger(**old.ledger)
    self.seconds.update(old.seconds)
    if self.found is not None:
      for places, images in old.found:
        self.found[places] = images


def evaluate(
  subject: Subject,
  images: Images,
  places: np.ndarray,
  pixels: np.ndarray,
  mesh: jax.sharding.Mesh,
  sizes: list[int],
  key: jax.Array,
  threat: Threat | None = None,
) -> Evaluation:
  """What a network says about images, in batches of a few sizes.

  Args:
    subject: the network.
    images: where labels, indices and clean images are.
    places: [n] into `images`.
    pixels: [n, H, W, C], what is looked at.
    mesh: the devices.
    sizes: batch sizes, ascending.
    key: for a network that draws.
    threat: see `Evaluator`.

  Returns:
    numpy arrays of length n.
  """
  ask, shape, first, asked = evaluator(subject.net, mesh, threat), pixels.shape[1:], 0, []
  while first < len(places):
    size = ask.size(len(places) - first, sizes, shape)
    own, image = places[first : first + size], pixels[first : first + size]
    filling = size - len(own)
    padded = np.concatenate([own, np.repeat(own[:1], filling)])
    batch = {
      'image': np.concatenate([image, np.repeat(image[:1], filling, axis=0)]),
      'clean': images.pixels(padded),
      'label': images.label[padded],
      'index': images.index[padded],
    }
    asked.append((len(own), ask(subject.variables, key, batch)))
    first += size
  found = [[np.asarray(leaf)[:count] for leaf in seen] for count, seen in asked]
  return Evaluation(*(np.concatenate(column) for column in zip(*found)))
