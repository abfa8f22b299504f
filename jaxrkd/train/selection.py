"""What happens to a run after an epoch: its networks are measured, checkpoints are saved."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.train.record import Best, RunRecord
from jaxrkd.train.setup import Timetable
from jaxrkd.train.state import NetState

# Networks -> scores on the selection split of each student; 'score' decides which
# checkpoint is best, and which of several students.
Scorer = Callable[[Mapping[str, NetState]], dict[str, dict[str, float]]]
# (epoch, networks): looks at them after every epoch, and changes nothing.
Watcher = Callable[[int, Mapping[str, NetState]], None]


class Stores(NamedTuple):
  """The checkpoints of a run.

  Attributes:
    last: what training continues from.
    best: of its student, or of the best of several.
    own: the best of each of several students, by name.
    kept: of the epochs that the config keeps for good; None where it keeps none.
  """

  last: Checkpoints
  best: Checkpoints
  own: dict[str, Checkpoints]
  kept: Checkpoints | None


class Selection:
  """What happens after an epoch: the selection split is measured, checkpoints are saved."""

  def __init__(
    self,
    timetable: Timetable,
    score: Scorer,
    writer: MetricsWriter,
    stores: Stores,
    tell: Callable[[str], None],
    title: str,
    watch: Watcher | None = None,
  ):
    self._watch = watch
    self._timetable, self._score, self._writer = timetable, score, writer
    self._last, self._best, self._own, self._kept = stores
    self._tell, self._title = tell, title

  def _judged(self, done: int) -> bool:
    return done == self._timetable.epochs or done % self._timetable.select_every == 0

  def _saved(self, done: int) -> bool:
    if self._timetable.max_drop:
      # What is kept has been looked at, so that a collapse is never what is left.
      return self._judged(done)
    return done == self._timetable.epochs or done % self._timetable.checkpoint_every == 0

  def due(self, done: int) -> bool:
    """Whether anything happens after this epoch, counted from 1."""
    if self._watch is not None:
      return True
    return self._judged(done) or self._saved(done) or done in self._timetable.keep_epochs

  def look(self, done: int, step: int, state: Any, record: RunRecord) -> bool:
    """Does it; False ends the training. Changes `record`."""
    if self._watch is not None:
      self._watch(done, state.nets)
    if self._judged(done) and not self._measure(done, step, state, record):
      return False
    if self._kept and done in self._timetable.keep_epochs:
      # Complete before `last` is: training never continues from behind a missing one.
      self._kept.save(done, state, record.to_json(step))
      self._kept.wait()
    if self._saved(done):
      self._last.save(step, state, record.to_json(step))
    return True

  def leave(
    self, step: int, state: Any, record: RunRecord, pending: list[dict[str, float]]
  ) -> None:
    """Saves where training is, in the middle of whatever, because it has to end.

    Args:
      step: updates done.
      state: after them.
      record: see `look`.
      pending: rows that are not logged yet.
    """
    if self._timetable.max_drop:
      # What is kept has been looked at: training continues from the look before.
      self._tell(f'{self._title}: told to end at step {step}')
      return
    whole = dataclasses.replace(record, pending=pending)
    self._last.save(step, state, whole.to_json(step))
    self._last.wait()
    self._tell(f'{self._title}: told to end; saved at step {step}')

  def _measure(self, done: int, step: int, state: Any, record: RunRecord) -> bool:
    split, most = self._timetable.select_split, self._timetable.max_drop
    each = self._score(state.nets)
    network = max(each, key=lambda name: each[name]['score'])
    scores = each[network]
    if len(each) > 1:
      scores = {**scores, **{name: found['score'] for name, found in each.items()}}
    self._writer.write(step, {f'{split}_{k}': v for k, v in scores.items()})
    fall = record.robust - scores.get('robust', 0)
    if most and fall > most:
      self._tell(
        f'{self._title}: stopped after epoch {done}, because robust accuracy fell by '
        f'{fall:.3f}; the last checkpoint is from before the fall'
      )
      return False
    record.robust = scores.get('robust', 0)
    if record.best is None or scores['score'] > record.best.scores['score']:
      record.best = Best(scores, step, done, network)
      self._best.save(step, state, record.to_json(step))
    for name, store in self._own.items():
      # Of several students each has a best epoch of its own.
      best = record.own_best.get(name)
      if best is None or each[name]['score'] > best.scores['score']:
        record.own_best[name] = Best(each[name], step, done)
        store.save(step, state.nets[name], record.to_json(step))
    return True
