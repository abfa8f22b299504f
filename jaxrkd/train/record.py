"""What is saved beside the arrays of a checkpoint, as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Best:
  """A network at the epoch at which it was best on the selection split.

  Attributes:
    scores: by name, 'score' among them; of several students also each one's score.
    step: updates done.
    epoch: counted from 1.
    network: which of the trained networks.
  """

  scores: dict[str, float]
  step: int
  epoch: int
  network: str = ''

  def to_json(self) -> dict[str, Any]:
    own = {'step': self.step, 'epoch': self.epoch}
    return {**self.scores, **own, **({'network': self.network} if self.network else {})}

  @classmethod
  def from_json(cls, found: Mapping[str, Any]) -> 'Best':
    own = {name: found[name] for name in ('step', 'epoch', 'network') if name in found}
    return cls({k: v for k, v in found.items() if k not in own}, **own)


@dataclasses.dataclass
class RunRecord:
  """Where a run is, so far as no array says it.

  Attributes:
    classes: number of logits.
    image_shape: (H, W, C).
    step: updates done when it was written.
    best: of its student, or the best of several; None before the first measurement, and
      for networks that came from a file.
    own_best: of each of several students, by name.
    robust: accuracy at the last measurement, against which a fall is told.
    feed: where a stream of data is.
    pending: rows of the log that are not written yet.
    seconds: of training so far, with compilation and the looks after epochs, without what
      was lost in a kill; 0 where nobody looked at the clock.
    flop_per_step: arithmetic of one update of one run; 0 where it was not counted.
  """

  classes: int = 0
  image_shape: tuple[int, ...] = ()
  step: int = 0
  best: Best | None = None
  own_best: dict[str, Best] = dataclasses.field(default_factory=dict)
  robust: float = 0.0
  feed: dict[str, Any] = dataclasses.field(default_factory=dict)
  pending: list[dict[str, float]] = dataclasses.field(default_factory=list)
  seconds: float = 0.0
  flop_per_step: float = 0.0

  def to_json(self, step: int) -> dict[str, Any]:
    """The record as it is written after update number `step`."""
    found: dict[str, Any] = {
      'classes': self.classes,
      'image_shape': list(self.image_shape),
      'step': step,
      'best': self.best and self.best.to_json(),
      'robust': self.robust,
    }
    if self.own_best:
      found['own_best'] = {name: best.to_json() for name, best in self.own_best.items()}
    for name in ('feed', 'pending', 'seconds', 'flop_per_step'):
      if getattr(self, name):
        found[name] = getattr(self, name)
    return found

  @classmethod
  def from_json(cls, found: Mapping[str, Any]) -> 'RunRecord':
    """Reads a record, also one of an older version, which has fewer keys."""
    fields = {field.name for field in dataclasses.fields(cls)}
    known = {name: value for name, value in found.items() if name in fields}
    best = found.get('best')
    return cls(
      **{
        **known,
        'image_shape': tuple(found.get('image_shape', ())),
        'best': Best.from_json(best) if best else None,
        'own_best': {k: Best.from_json(v) for k, v in found.get('own_best', {}).items()},
      }
    )
