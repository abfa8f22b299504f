"""The training loop: step, log, look at the held-out part, save; continue after a kill."""

import contextlib
import math
import pathlib
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.errors import InputError
from jaxrkd.runtime import preemption, sharding
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.runtime.progress import Progress
from jaxrkd.train.setup import Setup
from jaxrkd.train.state import NetState

Tree = Any
# Networks -> scores on the selection split of each student; 'score' decides which
# checkpoint is best, and which of several students.
Judge = Callable[[Mapping[str, NetState]], dict[str, dict[str, float]]]


class _Log:
  """Collects scalars on the devices and reads them one step late, so that nothing waits."""

  def __init__(self, setup: Setup, writer: MetricsWriter, progress: Progress):
    self._setup, self._writer, self._progress = setup, writer, progress
    self._pending: list[dict[str, Any]] = []
    self._clock, self._untimed = 0.0, 0

  def pending(self) -> list[dict[str, float]]:
    """What is not written yet, for a checkpoint in the middle of a window."""
    return [
      {name: float(value) for name, value in row.items()}
      for row in jax.device_get(self._pending)
    ]

  def take_up(self, rows: list[dict[str, float]]) -> None:
    """Goes on with what `pending` gave."""
    self._pending = list(rows)

  def add(self, scalars: dict[str, jax.Array]) -> None:
    if not self._clock:
      # The first step compiles; it must not count as slow.
      jax.block_until_ready(scalars)
      self._clock, self._untimed = time.monotonic(), 1 + len(self._pending)
    self._pending.append(scalars)

  def restart(self, state: Any) -> None:
    """Leaves what happened since the last `flush` out of the speed."""
    jax.block_until_ready(state)
    self._clock = time.monotonic()

  def flush(self, step: int, keep: int = 1) -> None:
    """Writes the mean of what was collected up to `step`, less the newest `keep`."""
    ready = self._pending[: len(self._pending) - keep]
    if not ready:
      return
    self._pending = self._pending[len(ready) :]
    rows = jax.device_get(ready)
    values = {name: sum(float(r[name]) for r in rows) / len(rows) for name in rows[0]}
    self._check(step - keep, values)
    now = time.monotonic()
    timed = (len(rows) - self._untimed) * self._setup.config.batch_size
    speed = timed / max(now - self._clock, 1e-9)
    self._clock, self._untimed = now, 0
    done = step - keep
    values['learning_rate'] = float(self._setup.parts.schedule.rate(done - 1))
    values['epoch'] = done / self._setup.steps_per_epoch
    shown = {'images_per_second': speed} if speed else {}
    self._writer.write(done, {**values, **shown})
    self._progress.show(done, {'loss': values['loss']}, speed)

  @staticmethod
  def _check(step: int, values: Mapping[str, float]) -> None:
    """Ends a run that has diverged, before a checkpoint of it is written."""
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
      raise InputError(
        f'training diverged: {", ".join(broken)} not finite by step {step}; the last '
        'checkpoint is kept, and a lower --config.schedule.peak, in a new --workdir, '
        'usually helps'
      )


def fit(
  setup: Setup, teacher_vars: Tree, workdir: pathlib.Path, judge: Judge, title: str
) -> None:
  """Trains to the end of the config's epochs, from the newest checkpoint if there is one.

  Args:
    setup: see `prepare`.
    teacher_vars: see `Setup.join_teachers`.
    workdir: folder of the run.
    judge: scores the networks for `best`.
    title: for the progress display.
  """
  config, first = setup.config, sharding.is_first_process()
  tell = print if first else lambda text: None
  folder = workdir / 'checkpoints'
  with contextlib.ExitStack() as opened:
    last = opened.enter_context(closing(Checkpoints(folder / 'last')))
    best = opened.enter_context(closing(Checkpoints(folder / 'best')))
    crew = setup.parts.crew
    own = {
      name: opened.enter_context(closing(Checkpoints(folder / f'best_{name}')))
      for name in (crew.names if crew.student is None else ())
    }
    kept = None
    if config.keep_epochs:
      kept = opened.enter_context(closing(Checkpoints(folder / 'kept', keep=None)))
    found = last.restore(setup.parts.like, say=tell)
    record: dict[str, Any]
    state, record = found if found else (setup.parts.init(), {'best': None})
    step = int(state.step)
    record.pop('step', None)
    if step:
      tell(f'{title}: resuming at step {step} of {setup.total_steps}')
    for store in (best, *own.values()):
      store.set_aside_after(step)
    if kept:
      kept.set_aside_after(step // setup.steps_per_epoch)
    # Saved with every checkpoint, so that the network can be rebuilt without the data.
    facts = {'classes': setup.data.classes, 'image_shape': list(setup.data.image_shape)}
    writer = opened.enter_context(closing(MetricsWriter(workdir, step, enabled=first)))
    progress = opened.enter_context(
      closing(Progress(title, setup.total_steps, step, enabled=first))
    )
    log = _Log(setup, writer, progress)
    pending: Any = record.pop('pending', [])
    log.take_up(pending)
    looks = _Looks(setup, judge, writer, last, best, own, kept, tell, title)
    with preemption.saving_loop():
      _epochs(setup, teacher_vars, state, {**record, **facts}, log, looks)


def _epochs(
  setup: Setup,
  teacher_vars: Tree,
  state: Any,
  record: dict[str, Any],
  log: _Log,
  looks: '_Looks',
) -> None:
  config, step = setup.config, int(state.step)
  data = setup.device_data()
  for epoch in range(step // setup.steps_per_epoch, config.epochs):
    order = setup.order(jnp.int32(epoch))
    for _ in range(step % setup.steps_per_epoch, setup.steps_per_epoch):
      state, scalars = setup.step(state, teacher_vars, data, order)
      step += 1
      log.add(scalars)
      if step % config.log_every == 0:
        log.flush(step)
      # What is due after an epoch comes first, or it would never come.
      if step % setup.steps_per_epoch and preemption.asked(step):
        looks.leave(step, state, record, log)
    if looks.due(epoch + 1):
      # No mean reaches across a checkpoint, so that a resumed run logs the same.
      log.flush(step, keep=0)
      if not looks.look(epoch + 1, step, state, record):
        break
      log.restart(state)
    if epoch + 1 < config.epochs and preemption.asked(step):
      looks.leave(step, state, record, log)


class _Looks:
  """What happens after an epoch: the selection split is measured, checkpoints are saved."""

  def __init__(self, setup, judge, writer, last, best, own, kept, tell, title):
    self._config, self._judge, self._writer = setup.config, judge, writer
    self._last, self._best, self._own, self._kept = last, best, own, kept
    self._tell, self._title = tell, title

  def _judged(self, done: int) -> bool:
    return done == self._config.epochs or done % self._config.select.every == 0

  def _saved(self, done: int) -> bool:
    if self._config.select.max_drop:
      # What is kept has been looked at, so that a collapse is never what is left.
      return self._judged(done)
    return done == self._config.epochs or done % self._config.checkpoint_every == 0

  def due(self, done: int) -> bool:
    """Whether anything happens after this epoch, counted from 1."""
    return self._judged(done) or self._saved(done) or done in self._config.keep_epochs

  def look(self, done: int, step: int, state: Any, record: dict[str, Any]) -> bool:
    """Does it; False ends the training. Changes `record`."""
    if self._judged(done) and not self._measure(done, step, state, record):
      return False
    if self._kept and done in self._config.keep_epochs:
      # Complete before `last` is: training never continues from behind a missing one.
      self._kept.save(done, state, {**record, 'step': step})
      self._kept.wait()
    if self._saved(done):
      self._last.save(step, state, record)
    return True

  def leave(self, step: int, state: Any, record: dict[str, Any], log: _Log) -> None:
    """Saves where training is, and ends it by `Preempted`."""
    self._last.save(step, state, {**record, 'pending': log.pending()})
    self._last.wait()
    self._tell(f'{self._title}: told to end (SIGTERM); saved at step {step}')
    raise preemption.Preempted

  def _measure(self, done: int, step: int, state: Any, record: dict[str, Any]) -> bool:
    select = self._config.select
    each = self._judge(state.nets)
    network = max(each, key=lambda name: each[name]['score'])
    scores = each[network]
    if len(each) > 1:
      scores = {**scores, **{name: found['score'] for name, found in each.items()}}
    self._writer.write(step, {f'{select.split}_{k}': v for k, v in scores.items()})
    fall = record.get('robust', 0) - scores.get('robust', 0)
    if select.max_drop and fall > select.max_drop:
      self._tell(
        f'{self._title}: stopped after epoch {done}, because robust accuracy fell by '
        f'{fall:.3f}; the last checkpoint is that of the look before'
      )
      return False
    record['robust'] = scores.get('robust', 0)
    if record['best'] is None or scores['score'] > record['best']['score']:
      record['best'] = {**scores, 'step': step, 'epoch': done, 'network': network}
      self._best.save(step, state, record)
    for name, store in self._own.items():
      # Of several students each has a best epoch of its own.
      best = record.setdefault('own_best', {}).get(name)
      if best is None or each[name]['score'] > best['score']:
        record['own_best'][name] = {**each[name], 'step': step, 'epoch': done}
        store.save(step, state.nets[name], record)
    return True
