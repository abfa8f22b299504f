"""Where a long job is: stage k of n, and about how long all of them still take."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from jaxrkd.runtime.progress import clock, say


class Stage(NamedTuple):
  """A part of a job.

  Attributes:
    title: what it does.
    work: how much there is of it, in any unit that all stages share; asked when it is needed.
  """

  title: str
  work: Callable[[], float]


class Stages:
  """The stages of a job, one after the other.

  Args:
    stages: in their order. Those that turn out to be done already are passed over.
  """

  def __init__(self, stages: Sequence[Stage]):
    self._stages = list(stages)
    self._place = -1
    # Work per second, of the newest stage that told. What a stage took from its beginning to
    # its end would tell less: much of it may be compilation.
    self._rate = 0.0

  def begin(self, title: str) -> None:
    """Goes to the next stage of this title, and says so."""
    titles = [stage.title for stage in self._stages]
    if title not in titles[self._place + 1 :]:
      return
    self._place = titles.index(title, self._place + 1)
    left = self.left(0.0, 0.0)
    told = f', about {clock(left)} left in all' if left else ''
    say(f'\nstage {self._place + 1} of {len(self._stages)}: {title}{told}')

  def left(self, share: float, seconds: float, before: float = 0.0) -> float:
    """Seconds to the end of all stages; 0 where nothing is known yet.

    Args:
      share: of the current stage that was done in this process.
      seconds: in which it was.
      before: share of it that an earlier process had done.
    """
    if self._place < 0:
      return 0.0
    current, *later = self._stages[self._place :]
    if share > 0 and seconds > 0:
      self._rate = share * current.work() / seconds
    if not self._rate:
      return 0.0
    rest = (1 - before - share) * current.work() + sum(stage.work() for stage in later)
    return rest / self._rate


_current: contextvars.ContextVar[Stages | None] = contextvars.ContextVar(
  'stages', default=None
)


@contextlib.contextmanager
def planned(stages: Callable[[], Sequence[Stage]]) -> Iterator[None]:
  """Within this scope `begin` goes through these stages; inside another plan, through its.

  Args:
    stages: makes them; not called inside another plan.
  """
  if _current.get() is not None:
    yield
    return
  token = _current.set(Stages(stages()))
  try:
    yield
  finally:
    _current.reset(token)


def begin(title: str) -> None:
  """Goes to the next stage of this title; nothing where none was planned."""
  stages = _current.get()
  if stages is not None:
    stages.begin(title)


def left(share: float, seconds: float, before: float = 0.0) -> float:
  """See `Stages.left`; 0 where nothing was planned."""
  stages = _current.get()
  return stages.left(share, seconds, before) if stages is not None else 0.0
