"""Scalars of the steps on their way from the devices to metrics.jsonl."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.runtime.progress import Progress
from jaxrkd.train.record import Best
from jaxrkd.train.setup import Setup


class Log:
  """Collects scalars on the devices and reads them one step late, so that nothing waits.

  (On one CPU device the host runs the steps itself and has nothing to wait for.)

  Args:
    setup: of the run, or of the first of several that differ in their seeds.
    writers: one per run. With several, every scalar is an array of as many.
    progress: what is shown; of several runs the mean loss and the speed of all.
    seeds: of several runs.
  """

  def __init__(
    self,
    setup: Setup,
    writers: Sequence[MetricsWriter],
    progress: Progress,
    seeds: Sequence[int] = (),
  ):
    self._setup, self._writers, self._progress = setup, tuple(writers), progress
    self._names = [f' with seed {seed}' for seed in seeds] or ['']
    self._pending: list[dict[str, Any]] = []
    # How many of the pending rows' steps were done when the clock was read.
    self._clock, self._untimed = 0.0, 0

  def pending(self) -> list[list[dict[str, float]]]:
    """What is not written yet, by run: for checkpoints in the middle of a window."""
    rows = jax.device_get(self._pending)
    return [
      [{name: float(np.ravel(value)[k]) for name, value in row.items()} for row in rows]
      for k in range(len(self._writers))
    ]

  def take_up(self, pending: Sequence[Sequence[Mapping[str, float]]]) -> None:
    """Goes on with what `pending` gave."""
    self._pending = [
      {name: np.array([row[name] for row in rows]) for name in rows[0]}
      for rows in zip(*pending, strict=True)
    ]

  def add(self, scalars: dict[str, jax.Array]) -> None:
    if not self._clock:
      # The first step compiles; it must not count as slow.
      jax.block_until_ready(scalars)
      self._clock, self._untimed = time.monotonic(), 1 + len(self._pending)
    self._pending.append(scalars)

  def tell_best(self, best: Best | None) -> None:
    """Shows the best look so far with the progress."""
    if best is not None:
      there = [name for name in ('clean', 'robust') if name in best.scores]
      names: list[str] = list(there) or ['score']
      told = ', '.join(f'{name} {100 * best.scores[name]:.1f} %' for name in names)
      self._progress.note(f'best epoch {best.epoch} ({told})')

  def restart(self, state: Any) -> None:
    """Leaves what happened since the last `flush` out of the speed."""
    jax.block_until_ready(state)
    self._clock, self._untimed = time.monotonic(), len(self._pending)

  def flush(self, step: int, keep: int = 1) -> None:
    """Writes the mean of what was collected up to `step`, less the newest `keep`."""
    ready = self._pending[: len(self._pending) - keep]
    if not ready:
      return
    self._pending = self._pending[len(ready) :]
    rows, done = jax.device_get(ready), step - keep
    now, runs = time.monotonic(), len(self._writers)
    finished = len(rows) + sum(map(_is_done, self._pending))
    timed = max(finished - self._untimed, 0)
    speed = timed * self._setup.batch_size * runs / max(now - self._clock, 1e-9)
    # Rows of before a kill may be more than one window has.
    self._clock, self._untimed = now, max(finished, self._untimed) - len(rows)
    shared = {
      'learning_rate': float(self._setup.schedule.rate(done - 1)),
      'epoch': done / self._setup.steps_per_epoch,
      **({'images_per_second': speed} if speed else {}),
    }
    losses = []
    for k, writer in enumerate(self._writers):
      values = {
        name: sum(float(np.ravel(row[name])[k]) for row in rows) / len(rows)
        for name in rows[0]
      }
      self._check(done, values, self._names[k])
      losses.append(values['loss'])
      writer.write(done, {**values, **shared})
    self._progress.show(done, {'loss': sum(losses) / runs}, speed)

  @staticmethod
  def _check(step: int, values: Mapping[str, float], name: str) -> None:
    """Ends a run that has diverged, before a checkpoint of it is written."""
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
      raise InputError(
        f'training diverged{name}: by step {step}, values of {", ".join(broken)} are not '
        'finite. The last checkpoint is kept; a lower --config.schedule.peak, in a new '
        '--workdir, usually helps'
      )


def _is_done(row: Mapping[str, Any]) -> bool:
  """Whether a step's scalars are there; those of before a kill are arrays of numpy."""
  return all(getattr(leaf, 'is_ready', lambda: True)() for leaf in row.values())
