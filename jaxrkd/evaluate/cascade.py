"""Attacks on images that still stand, a full batch at a time: the one evaluation path.

Every image walks through the runs of an attack by itself. Those that are done leave their
lane to those that wait, every success is looked at once more by the network that is
measured, in float32, and what is known is written down every now and then, with the lanes,
so that a killed evaluation goes on where it was.
"""

import collections
import time
from typing import Any

import jax
import numpy as np

from jaxrkd.attacks import Stepwise
from jaxrkd.attacks.minimum_norm import ToTheEnd
from jaxrkd.evaluate.eight_bits import eight_bits
from jaxrkd.evaluate.evaluator import programs
from jaxrkd.evaluate.task import Task
from jaxrkd.runtime import preemption, sharding
from jaxrkd.runtime.progress import Progress

# Steps between two looks at which images are done: a share of the attack's steps.
LOOKS, MOST = 20, 50
# Seconds between two notes of how far the evaluation is.
SAVE_EVERY = 20.0
# Seconds after which an attack shows that it is at work.
SHOW_AFTER = 5.0


def run_cascade(task: Task) -> None:
  """Runs every attack of a task that is not done."""
  while task.stage < len(task.cascade.attacks):
    name, attack = task.cascade.attacks[task.stage]
    Stage(task, name, attack).finish()
    task.stage += 1
    task.ledger.run[:] = 0
    task.save(None)


class Stage:
  """One attack of a cascade on its way.

  Args:
    task: the cascade's.
    name: of the attack.
    attack: itself.
  """

  def __init__(self, task: Task, name: str, attack: Stepwise):
    self._task, self._name, self._attack = task, name, attack
    self._programs = programs(task.search.net, attack, task.mesh)
    self._runs = attack.runs_on(task.clean.targets.shape[1] + 1)
    self._lanes: Any = None
    self._place = np.zeros(0, int)  # of the image in each lane; -1 where there is none
    self._saved = self._began = time.monotonic()
    self._saving = 0.0  # seconds that the last note took
    self._over = 0  # runs that are decided
    ledger = task.ledger
    waiting = np.flatnonzero(ledger.standing & (ledger.run < self._runs))
    self._total = len(waiting)
    self._sizes = self._programs.sizes(
      len(waiting), task.sizes[-1], task.mesh.size, task.images.image.shape[1:]
    )
    self._over += int(ledger.run[waiting].sum())
    self._put_back()
    held = set(self._place[self._place >= 0].tolist())
    order = sorted(set(waiting.tolist()) - held, key=lambda p: (ledger.run[p], p))
    self._queue = collections.deque(order)
    self._progress: Progress | None = None

  def finish(self) -> None:
    """Until every image is broken or through."""
    task, last = self._task, time.monotonic()
    count = min(max(self._attack.steps // LOOKS, 1), MOST)
    while self._queue or np.any(self._place >= 0):
      self._fill()
      self._lanes = self._programs.advance(task.search.variables, self._lanes, count)
      seen = (np.array(a) for a in self._programs.look(self._lanes))
      fooled, done, not_finite = seen
      self._mark(self._place[not_finite & (self._place >= 0)])
      self._settle(fooled, done)
      now = time.monotonic()
      task.seconds[self._name] += now - last
      last = now
      self._show(now, done)
      # Seldom enough to cost little, however large what is noted is.
      due = max(SAVE_EVERY, 20 * self._saving)
      if task.partial and sharding.agreed(now - self._saved > due):
        task.save(self.held())
        last = self._saved = time.monotonic()
        self._saving = last - now if SAVE_EVERY > 0 else 0.0
      if preemption.told_together():
        if task.partial:
          task.save(self.held())
        raise preemption.Preempted
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
    task, held = self._task, self._task.held
    task.held = None
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
    old = self._programs.restore(sharding.put(tree, task.rows))
    busy = np.arange(size) < len(place)
    self._lanes = self._programs.merge(sharding.put(busy, task.rows), old, begun)
    self._place = np.where(busy, np.resize(place, size), -1)

  def _begin(self, places: np.ndarray, busy: np.ndarray) -> Any:
    task = self._task
    run = task.ledger.run[places]
    targets = task.clean.targets
    aim = targets[places, np.minimum(run, targets.shape[1] - 1)]
    batch = {
      'index': task.images.index[places],
      'clean': task.images.pixels(places),
      'label': task.images.label[places],
      'target': aim,
      'run': run,
    }
    return self._programs.enter(task.key, batch, ~busy)

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
    ledger, began = self._task.ledger, self._place[taken]
    ledger.reached[began] = self._task.stage
    begun = self._begin(places, taken)
    # Also where all are fresh: it is compiled with the rest then, and not in a later call.
    fresh = sharding.put(fresh, self._task.rows)
    old = begun if self._lanes is None else self._lanes
    self._lanes = self._programs.merge(fresh, begun, old)

  def _settle(self, fooled: np.ndarray, done: np.ndarray) -> None:
    """Takes images out of the lanes that are broken or through."""
    busy, ended = self._place >= 0, done >= self._attack.steps
    asked = np.flatnonzero(busy & (fooled | ended))
    if not len(asked):
      return
    broken = np.zeros(len(busy), bool)
    broken[asked] = self._confirm(asked, fooled[asked])
    through = busy & ended & ~broken
    over = np.flatnonzero(broken | through)
    task, ledger = self._task, self._task.ledger
    ledger.queries[self._place[over]] += done[over] * self._attack.queries
    self._over += int(np.sum(self._runs - ledger.run[self._place[broken]]))
    self._over += int(np.sum(through))
    ledger.run[self._place[through]] += 1
    again = self._place[through]
    self._queue.extend(again[ledger.run[again] < self._runs].tolist())
    self._place[over] = -1
    refuted = busy & fooled & ~broken & ~ended
    if np.any(refuted):
      rows = sharding.put(refuted, task.rows)
      self._lanes = self._programs.resume(rows, self._lanes)

  def _confirm(self, lanes: np.ndarray, claimed: np.ndarray) -> np.ndarray:
    """Asks the measured network about what was found; whether it is broken, [lanes]."""
    task, ledger = self._task, self._task.ledger
    places = self._place[lanes]
    found = np.asarray(self._programs.found(self._lanes))[lanes]
    seen = task.evaluate(task.target, places, found, salt=task.stage + 1)
    numbers = np.isfinite(found).all(axis=(1, 2, 3))
    self._mark(places[~(seen.finite & numbers)])
    ledger.outside[places[numbers & ~seen.allowed], task.stage] = True
    broken = ~seen.right(task.images.label[places]) & seen.allowed
    # What withstands is told by the image on which it came closest to failing.
    told = broken | (seen.allowed & (seen.margin > ledger.margin[places]))
    claimed = claimed & numbers
    if isinstance(self._attack, ToTheEnd):
      # Its distance counts, whatever a second look says.
      told |= claimed & seen.allowed
    ledger.prediction[places[told]] = seen.prediction[told]
    ledger.margin[places[told]] = seen.margin[told]
    task.keep(places[told], found[told])
    if not task.transfer:
      ledger.claimed[places] |= claimed
      ledger.refuted[places] += claimed & ~broken & seen.allowed
    ledger.eight_bit[places[broken]] = self._stays(places[broken], found[broken])
    ledger.stage[places[broken]] = task.stage
    ledger.standing[places[broken]] = False
    return broken

  def _stays(self, places: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Whether adversarial images stay adversarial as a file of 8 bits keeps them, [n]."""
    if not len(places):
      return np.zeros(0, bool)
    levels = eight_bits(images, self._task.images.pixels(places))
    whole = levels.astype(images.dtype) / 255
    seen = self._task.evaluate(
      self._task.target, places, whole, salt=self._task.stage + 1
    )
    return ~seen.right(self._task.images.label[places]) & seen.allowed

  def _mark(self, places: np.ndarray) -> None:
    """Notes images on which this attack met what is no number."""
    self._task.ledger.not_finite[places, self._task.stage] = True

  def _show(self, now: float, done: np.ndarray) -> None:
    """A line every few seconds, once it takes longer than that."""
    task = self._task
    if not task.title or now - self._began < SHOW_AFTER:
      return
    if self._progress is None:
      self._progress = Progress(
        f'{task.title} {self._name}',
        max(self._total * self._runs * self._attack.steps, 1),
        enabled=sharding.is_first_process(),
      )
    taken = self._over * self._attack.steps + int(done[self._place >= 0].sum())
    self._progress.show(taken, {'standing': int(task.ledger.standing.sum())}, 0)
