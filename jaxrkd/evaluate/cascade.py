"""Attacks on images that still stand, a full batch at a time: the one evaluation path.

Every image walks through the runs of an attack by itself. Those that are done leave their
lane to those that wait, every success is looked at once more by the network that is
measured, in float32, and what is known is written down every now and then, with the lanes,
so that a killed evaluation goes on where it was.
"""

import collections
import dataclasses
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.attacks import Cascade, Stepwise, Threat
from jaxrkd.evaluate.lanes import Classifier, Look, looker, programs
from jaxrkd.evaluate.partial import Partial
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import Progress

Tree = Any
# Steps between two looks at which images are done: a share of the attack's steps.
LOOKS, MOST = 20, 50
# Seconds between two notes of how far the evaluation is.
SAVE_EVERY = 20.0
# Seconds after which an attack shows that it is at work.
SHOW_AFTER = 5.0
# Halvings of the batch for the last images: each is one more compilation.
HALVINGS = 3


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
  """What is known of each image; arrays of length N.

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

  @classmethod
  def begin(cls, images: Images, clean: Look) -> 'Ledger':
    count = len(images)
    right = (clean.prediction == images.label) & (np.asarray(clean.margin) <= 0)
    return cls(
      standing=right,
      stage=np.full(count, -1, np.int32),
      prediction=np.array(clean.prediction),
      margin=np.array(clean.margin, np.float32),
      queries=np.zeros(count, np.int64),
      claimed=np.zeros(count, bool),
      refuted=np.zeros(count, np.int32),
      reached=np.full(count, -1, np.int32),
      run=np.zeros(count, np.int32),
    )

  def arrays(self) -> dict[str, np.ndarray]:
    return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def ladder(batch_size: int, devices: int) -> list[int]:
  """Batch sizes that are used: the full one, and halves of it for the last images."""
  halves = (-(-batch_size // 2**k) for k in range(HALVINGS + 1))
  return sorted({-(-half // devices) * devices for half in halves})


def lane_sizes(waiting: int, batch_size: int, devices: int) -> list[int]:
  """As `ladder`, from the size that `waiting` images fill in as few rounds, but evenly.

  In eighths of the batch, so that few sizes are compiled.
  """
  rounds = max(-(-waiting // batch_size), 1)
  eighth = max(-(-batch_size // 8), 1)
  even = -(-waiting // rounds)
  return ladder(min(-(-even // eighth) * eighth, batch_size), devices)


class Run:
  """A cascade on its way through images.

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
    clean: Look,
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
    self._target, self._search = target, search or target
    self._cascade, self._images, self._clean = cascade, images, clean
    self._mesh, self._key = mesh, key
    self._rows = sharding.rows(mesh)
    self._sizes = ladder(batch_size, mesh.size)
    self._threat, self._transfer, self._title = threat, transfer, title
    self._partial = partial
    self.ledger = Ledger.begin(images, clean)
    self.seconds = dict.fromkeys((name for name, _ in cascade.attacks), 0.0)
    self.found = images.pixels(np.arange(len(images))) if keep else None
    self._stage = 0
    self._held: dict[str, np.ndarray] | None = None
    self._resume()

  def finish(self) -> 'Run':
    """Runs every attack that is not done; returns itself."""
    while self._stage < len(self._cascade.attacks):
      name, attack = self._cascade.attacks[self._stage]
      Stage(self, name, attack).finish()
      self._stage += 1
      self.ledger.run[:] = 0
      self.save(None)
    return self

  def look(
    self, subject: Subject, places: np.ndarray, images: np.ndarray, salt: int
  ) -> Look:
    """What a network says about a few images at these places."""
    return look(
      *(subject, self._images, places, images, self._mesh, self._sizes),
      *(jax.random.fold_in(self._key, salt), self._threat),
    )

  def save(self, stage: 'Stage | None') -> None:
    """Notes how far it is, with what is in the lanes."""
    if self._partial is None:
      return
    held = stage.held() if stage else None
    if sharding.is_first_process():
      self._partial.write(
        self._stage, self.ledger.arrays(), self.seconds, held, self.found
      )

  def _resume(self) -> None:
    old = self._partial.read() if self._partial else None
    if not sharding.agreed(old is not None) or old is None:
      return
    self._stage, self._held = old.stage, old.held
    self.ledger = Ledger(**old.ledger)
    self.seconds.update(old.seconds)
    if self.found is not None and old.found is not None:
      self.found[:] = old.found


def look(
  subject: Subject,
  images: Images,
  places: np.ndarray,
  pixels: np.ndarray,
  mesh: jax.sharding.Mesh,
  sizes: list[int],
  key: jax.Array,
  threat: Threat | None = None,
) -> Look:
  """What a network says about images, in batches of a few sizes.

  Args:
    subject: the network.
    images: where labels, indices and clean images are.
    places: [n] into `images`.
    pixels: [n, H, W, C], what is looked at.
    mesh: the devices.
    sizes: batch sizes, ascending.
    key: for a network that draws.
    threat: see `looker`.

  Returns:
    numpy arrays of length n.
  """
  ask, rows = looker(subject.net, mesh, threat), sharding.rows(mesh)
  asked = []
  for first in range(0, len(places), sizes[-1]):
    own = places[first : first + sizes[-1]]
    size = next(s for s in sizes if s >= len(own))
    padded = np.concatenate([own, np.repeat(own[:1], size - len(own))])
    image = pixels[first : first + sizes[-1]]
    image = np.concatenate([image, np.repeat(image[:1], size - len(own), axis=0)])
    batch = {
      'image': image,
      'clean': images.pixels(padded),
      'label': images.label[padded],
      'index': images.index[padded],
    }
    asked.append((len(own), ask(subject.variables, key, sharding.put(batch, rows))))
  found = [[np.asarray(leaf)[:count] for leaf in seen] for count, seen in asked]
  return Look(*(np.concatenate(column) for column in zip(*found)))


class Stage:
  """One attack of a cascade on its way.

  Args:
    whole: the cascade's run.
    name: of the attack.
    attack: itself.
  """

  def __init__(self, whole: Run, name: str, attack: Stepwise):
    self._whole, self._name, self._attack = whole, name, attack
    self._programs = programs(whole._search.net, attack, whole._mesh)
    self._runs = attack.runs_on(whole._clean.targets.shape[1] + 1)
    self._lanes: Any = None
    self._place = np.zeros(0, int)  # of the image in each lane; -1 where there is none
    self._saved = self._began = time.monotonic()
    self._over = 0  # runs that are decided
    ledger = whole.ledger
    waiting = np.flatnonzero(ledger.standing & (ledger.run < self._runs))
    self._total = len(waiting)
    self._sizes = lane_sizes(len(waiting), whole._sizes[-1], whole._mesh.size)
    self._over += int(ledger.run[waiting].sum())
    self._put_back()
    held = set(self._place[self._place >= 0].tolist())
    order = sorted(set(waiting.tolist()) - held, key=lambda p: (ledger.run[p], p))
    self._queue = collections.deque(order)
    self._progress: Progress | None = None

  def finish(self) -> None:
    """Until every image is broken or through."""
    whole, last = self._whole, time.monotonic()
    count = min(max(self._attack.steps // LOOKS, 1), MOST)
    while self._queue or np.any(self._place >= 0):
      self._fill()
      self._lanes = self._programs.advance(whole._search.variables, self._lanes, count)
      fooled, done = (np.array(a) for a in self._programs.look(self._lanes))
      self._settle(fooled, done)
      now = time.monotonic()
      whole.seconds[self._name] += now - last
      last = now
      self._show(now, done)
      if whole._partial and sharding.agreed(now - self._saved > SAVE_EVERY):
        whole.save(self)
        last = self._saved = time.monotonic()
    if self._progress:
      self._progress.close()

  def held(self) -> dict[str, np.ndarray] | None:
    """What is in the lanes, by leaf, and `place`; None if they are empty."""
    busy = np.flatnonzero(self._place >= 0)
    if not len(busy):
      return None
    leaves = jax.tree.leaves(self._programs.whole(self._lanes))
    rows = {f'leaf_{k}': np.asarray(leaf)[busy] for k, leaf in enumerate(leaves)}
    return {**rows, 'place': self._place[busy]}

  def _put_back(self) -> None:
    """Fills the lanes with what an earlier process held in them."""
    whole, held = self._whole, self._whole._held
    whole._held = None
    if held is None:
      return
    place = held['place'][: self._sizes[-1]]
    size = next(s for s in self._sizes if s >= len(place))
    begun = self._begin(np.zeros(size, int), np.zeros(size, bool))
    like = self._programs.whole(begun)
    leaves = [
      np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)])
      for rows in (held[f'leaf_{k}'][:size] for k in range(len(jax.tree.leaves(like))))
    ]
    tree = jax.tree.unflatten(jax.tree.structure(like), leaves)
    old = self._programs.restore(sharding.put(tree, whole._rows))
    busy = np.arange(size) < len(place)
    self._lanes = self._programs.merge(sharding.put(busy, whole._rows), old, begun)
    self._place = np.where(busy, np.resize(place, size), -1)

  def _begin(self, places: np.ndarray, busy: np.ndarray) -> Any:
    whole = self._whole
    run = whole.ledger.run[places]
    targets = whole._clean.targets
    aim = targets[places, np.minimum(run, targets.shape[1] - 1)]
    batch = {
      'index': whole._images.index[places],
      'clean': whole._images.pixels(places),
      'label': whole._images.label[places],
      'target': aim,
      'run': run,
    }
    batch, idle = sharding.put((batch, ~busy), whole._rows)
    return self._programs.begin(whole._key, batch, idle)

  def _fill(self) -> None:
    """Gives free lanes to waiting images; fewer lanes where few images are left."""
    sizes, busy = self._sizes, np.flatnonzero(self._place >= 0)
    wanted = min(len(busy) + len(self._queue), sizes[-1])
    size = next(s for s in sizes if s >= wanted)
    if size != len(self._place):
      rows = np.resize(busy if len(busy) else [0], size)
      if self._lanes is not None and len(busy):
        self._lanes = self._programs.take(self._lanes, rows)
      else:
        self._lanes = None
      kept = np.arange(size) < len(busy)
      self._place = np.where(kept, np.resize(self._place[busy], size), -1)
      fresh = ~kept
    else:
      fresh = self._place < 0
      if not self._queue:
        return
    places = np.where(self._place >= 0, self._place, 0)
    taken = np.zeros(size, bool)
    for lane in np.flatnonzero(fresh):
      if not self._queue:
        break
      places[lane] = self._place[lane] = self._queue.popleft()
      taken[lane] = True
    ledger, began = self._whole.ledger, self._place[taken]
    ledger.reached[began] = self._whole._stage
    begun = self._begin(places, taken)
    if self._lanes is None:
      self._lanes = begun
      return
    fresh = sharding.put(fresh, self._whole._rows)
    self._lanes = self._programs.merge(fresh, begun, self._lanes)

  def _settle(self, fooled: np.ndarray, done: np.ndarray) -> None:
    """Takes images out of the lanes that are broken or through."""
    busy, ended = self._place >= 0, done >= self._attack.steps
    asked = np.flatnonzero(busy & (fooled | ended))
    if not len(asked):
      return
    broken = np.zeros(len(busy), bool)
    broken[asked] = self._judge(asked, fooled[asked])
    through = busy & ended & ~broken
    over = np.flatnonzero(broken | through)
    whole, ledger = self._whole, self._whole.ledger
    ledger.queries[self._place[over]] += done[over] * self._attack.queries
    self._over += int(np.sum(self._runs - ledger.run[self._place[broken]]))
    self._over += int(np.sum(through))
    ledger.run[self._place[through]] += 1
    again = self._place[through]
    self._queue.extend(again[ledger.run[again] < self._runs].tolist())
    self._place[over] = -1
    refuted = busy & fooled & ~broken & ~ended
    if np.any(refuted):
      rows = sharding.put(refuted, whole._rows)
      self._lanes = self._programs.resume(rows, self._lanes)

  def _judge(self, lanes: np.ndarray, claimed: np.ndarray) -> np.ndarray:
    """Asks the measured network about what was found; whether it is broken, [lanes]."""
    whole, ledger = self._whole, self._whole.ledger
    places = self._place[lanes]
    found = np.asarray(self._programs.found(self._lanes))[lanes]
    seen = whole.look(whole._target, places, found, salt=whole._stage + 1)
    wrong = (seen.prediction != whole._images.label[places]) | ~(seen.margin <= 0)
    broken = wrong & seen.allowed
    # What withstands is told by the image on which it came closest to failing.
    told = broken | (seen.allowed & (seen.margin > ledger.margin[places]))
    ledger.prediction[places[told]] = seen.prediction[told]
    ledger.margin[places[told]] = seen.margin[told]
    if whole.found is not None:
      whole.found[places[told]] = found[told]
    if not whole._transfer:
      ledger.claimed[places] |= claimed
      ledger.refuted[places] += claimed & ~broken
    ledger.stage[places[broken]] = whole._stage
    ledger.standing[places[broken]] = False
    return broken

  def _show(self, now: float, done: np.ndarray) -> None:
    """A line every few seconds, once it takes longer than that."""
    whole = self._whole
    if not whole._title or now - self._began < SHOW_AFTER:
      return
    if self._progress is None:
      self._progress = Progress(
        f'{whole._title} {self._name}',
        max(self._total * self._runs * self._attack.steps, 1),
        enabled=sharding.is_first_process(),
      )
    taken = self._over * self._attack.steps + int(done[self._place >= 0].sum())
    self._progress.show(taken, {'standing': int(whole.ledger.standing.sum())}, 0)
