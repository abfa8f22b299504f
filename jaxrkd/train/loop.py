"""The training loop: step, log, look at the held-out part, save; continue after a kill.

Several runs that differ only in their seeds go through it together, in one program.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.runtime import preemption, sharding, stages
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.runtime.metrics import MetricsWriter
from jaxrkd.runtime.progress import Progress, say
from jaxrkd.runtime.trackers import Trackers
from jaxrkd.train.feed import make_feed
from jaxrkd.train.flops import count_flops
from jaxrkd.train.log import Log
from jaxrkd.train.record import RunRecord
from jaxrkd.train.selection import Scorer, Selection, Stores, Watcher
from jaxrkd.train.setup import Setup, Step
from jaxrkd.train.state import TrainState

Tree = Any
# Steps of a training whose arithmetic is counted, which traces the step once more.
WORTH_COUNTING = 100


class Run(NamedTuple):
  """One run in the loop.

  Attributes:
    setup: see `prepare`.
    workdir: its folder.
    score: scores its networks for `best`.
    title: what it is called in what is printed.
    watch: looks at its networks after every epoch; None does not.
    trackers: names of those that are told of its scalars.
    config: of the run, for them.
  """

  setup: Setup
  workdir: pathlib.Path
  score: Scorer
  title: str
  watch: Watcher | None = None
  trackers: Sequence[str] = ()
  config: Mapping[str, Any] = {}

  def writer(self, step: int, enabled: bool) -> MetricsWriter:
    """What its scalars are written to, from a step on."""
    told = Trackers(self.trackers, self.workdir, self.config, enabled)
    return MetricsWriter(self.workdir, step, enabled, told)


def fit(runs: Sequence[Run], teacher_vars: Tree, title: str) -> None:
  """Trains to the end of the config's epochs, from the newest checkpoints if there are any.

  Args:
    runs: one run, or several whose configs differ in the seed alone.
    teacher_vars: see `Setup.join_teachers`.
    title: for the progress display.

  Raises:
    Preempted: told to end; everything is saved.
  """
  preemption.end_if_asked()
  setup, first = runs[0].setup, sharding.is_first_process()
  with contextlib.ExitStack() as opened:
    # Left last: checkpoints are still being written while the rest is closed.
    opened.enter_context(preemption.saving_loop())
    begun = [_Begun(run, opened) for run in runs]
    # A kill between the checkpoints of two runs leaves one of them behind.
    while len({one.step for one in begun}) > 1:
      step = min(one.step for one in begun)
      for one in begun:
        one.go_back_to(step)
    step = begun[0].step
    for one in begun:
      one.continue_from(step)
    writers = [
      opened.enter_context(closing(run.writer(step, enabled=first))) for run in runs
    ]
    progress = opened.enter_context(
      closing(Progress(title, setup.total_steps, step, first, stages.left))
    )
    several = [run.setup.seed for run in runs] if len(runs) > 1 else []
    log = Log(setup, writers, progress, several)
    log.take_up([one.record.pending for one in begun])
    for one in begun:
      one.record.pending = []
    if len(begun) == 1:
      log.tell_best(begun[0].record.best)
    selections = [
      Selection(setup.timetable, run.score, writer, one.stores, say, run.title, run.watch)
      for run, writer, one in zip(runs, writers, begun)
    ]
    program = Program([run.setup for run in runs])
    _epochs(program, begun, teacher_vars, log, selections)


class _Begun:
  """A run with its checkpoints open: where it is."""

  def __init__(self, run: Run, opened: contextlib.ExitStack):
    self._run, setup = run, run.setup
    folder = run.workdir / 'checkpoints'
    store = lambda name, **options: opened.enter_context(
      closing(Checkpoints(folder / name, **options))
    )
    networks = setup.learner.networks
    several = networks.names if networks.student is None else ()
    self.stores = Stores(
      last=store('last'),
      best=store('best'),
      own={name: store(f'best_{name}') for name in several},
      kept=store('kept', keep=None) if setup.timetable.keep_epochs else None,
    )
    self._read()

  def _read(self) -> None:
    setup = self._run.setup
    found = self.stores.last.restore(setup.learner.like, say=say)
    self.state: TrainState
    self.state, read = found if found else (setup.init(), {})
    self.step = int(self.state.step)
    # With every checkpoint, so that the network can be rebuilt without the data.
    self.record = dataclasses.replace(
      RunRecord.from_json(read),
      classes=setup.data.classes,
      image_shape=tuple(setup.data.image_shape),
    )

  def go_back_to(self, step: int) -> None:
    """Reads the checkpoint of that step or an older one, and moves newer ones away."""
    if self.step > step:
      self.stores.last.set_aside_after(step)
      self._read()

  def continue_from(self, step: int) -> None:
    """Says so, and moves what is newer in the other stores away."""
    setup = self._run.setup
    if step:
      text = f'resuming at step {step} of {setup.total_steps}'
      say(f'{self._run.title}: {text}')
    for store in (self.stores.best, *self.stores.own.values()):
      store.set_aside_after(step)
    if self.stores.kept:
      self.stores.kept.set_aside_after(step // setup.steps_per_epoch)


class Program:
  """The step of one run, or of several at once: their states get a leading axis."""

  def __init__(self, setups: Sequence[Setup]):
    self.first, self._setups = setups[0], setups
    self.step = self.first.step
    if self._several:
      self.step = jax.jit(self._together(), donate_argnums=0)
    self._parts = jax.jit(lambda state: [_part(state, k) for k in self._numbers])

  @property
  def _several(self) -> bool:
    return len(self._setups) > 1

  @property
  def _numbers(self) -> range:
    return range(len(self._setups))

  def _together(self) -> Step:
    one = self.first.train_step
    if self.first.mapped:
      return jax.vmap(one, in_axes=(0, None, None, 0))

    def each(state: Tree, teacher_vars: Tree, data: Tree, order: jax.Array) -> Tree:
      found = [one(_part(state, k), teacher_vars, data, order[k]) for k in self._numbers]
      return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    return each

  def join(self, states: Sequence[TrainState]) -> Any:
    if not self._several:
      return states[0]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

  def split(self, state: Any) -> list[TrainState]:
    return self._parts(state) if self._several else [state]

  def order(self, epoch: int) -> jax.Array:
    orders = [setup.order(jnp.int32(epoch)) for setup in self._setups]
    return jnp.stack(orders) if self._several else orders[0]


def _part(state: Any, number: int) -> TrainState:
  return jax.tree.map(lambda leaf: leaf[number], state)


def _soon_due(setup: Setup, selection: Selection, step: int) -> bool:
  """Whether a checkpoint, which ends a mean, follows in less than half a line of the log.

  Its line would be the mean of few steps, such as of the small last batch of an epoch alone.
  """
  every, left = setup.timetable.log_every, -step % setup.steps_per_epoch
  due = selection.due((step + left) // setup.steps_per_epoch)
  return every > 1 and 2 * left < every and due


def _epochs(
  program: Program,
  runs: Sequence[_Begun],
  teacher_vars: Tree,
  log: Log,
  selections: Sequence[Selection],
) -> None:
  setup, step = program.first, runs[0].step
  timetable = setup.timetable
  feed = make_feed(setup, program.order, step, runs[0].record.feed, len(runs) > 1)
  state = program.join([run.state for run in runs])
  for run in runs:
    del run.state  # the step is going to reuse its memory

  clock = time.monotonic()

  def note() -> None:
    nonlocal clock
    passed, clock = time.monotonic() - clock, time.monotonic()
    for run in runs:
      run.record.feed = feed.state()
      # Of several in one program each has its share.
      run.record.seconds += passed / len(runs)

  def leave() -> None:
    note()
    pending = log.pending()
    for selection, own, run, rows in zip(selections, program.split(state), runs, pending):
      selection.leave(step, own, run.record, rows)
    raise preemption.Preempted

  if preemption.asked():
    raise preemption.Preempted  # While checkpoints were read: there is nothing new to save.
  for epoch in range(step // setup.steps_per_epoch, timetable.epochs):
    for _ in range(step % setup.steps_per_epoch, setup.steps_per_epoch):
      batch = feed.next(step)
      if not runs[0].record.flop_per_step and setup.total_steps >= WORTH_COUNTING:
        flop = count_flops(program.step, state, teacher_vars, *batch)
        for run in runs:
          run.record.flop_per_step = flop / len(runs)
      state, scalars = program.step(state, teacher_vars, *batch)
      step += 1
      log.add(scalars)
      if step % timetable.log_every == 0 and not _soon_due(setup, selections[0], step):
        log.flush(step)
      # What is due after an epoch comes first, or it would never come.
      if step % setup.steps_per_epoch and preemption.asked():
        leave()
    if selections[0].due(epoch + 1):
      # No mean reaches across a checkpoint, so that a resumed run logs the same.
      log.flush(step, keep=0)
      note()
      own = program.split(state)
      # All of them look, also where one of them says that this is the end.
      going = [
        selection.look(epoch + 1, step, own[k], runs[k].record)
        for k, selection in enumerate(selections)
      ]
      if not all(going):
        break
      if len(runs) == 1:
        log.tell_best(runs[0].record.best)
      log.restart(state)
    if epoch + 1 < timetable.epochs and preemption.asked():
      leave()
