"""A run that is ready to start: what it is made of, and when what happens to it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.data import Dataset
from jaxrkd.methods import Method
from jaxrkd.optimizers import Schedule
from jaxrkd.runtime import sharding
from jaxrkd.train.crew import Crew
from jaxrkd.train.state import Optimizers, TrainState
from jaxrkd.train.teachers import Faculty

Array = jax.Array
Tree = Any
Scalars = dict[str, Array]
# (state, joined teacher variables, data, order) -> (state, scalars).
Step = Callable[[TrainState, Tree, dict[str, Array], Array], tuple[TrainState, Scalars]]


class Timetable(NamedTuple):
  """When a run is logged, measured and saved; epochs are counted from 1.

  Attributes:
    epochs: how long it is trained.
    log_every: steps whose mean is one row of the log.
    checkpoint_every: epochs between two checkpoints to continue from.
    keep_epochs: epochs that are kept for good.
    select_every: epochs between two measurements on the selection split.
    select_split: its name.
    max_drop: how far robust accuracy may fall between two of them before the training
      ends; 0 lets it.
  """

  epochs: int
  log_every: int = 50
  checkpoint_every: int = 1
  keep_epochs: tuple[int, ...] = ()
  select_every: int = 1
  select_split: str = 'heldout'
  max_drop: float = 0.0


@dataclasses.dataclass(frozen=True)
class Parts:
  """What decides the shape of a run's state.

  Attributes:
    crew: the networks that are trained.
    method: what trains them.
    schedule: their learning rate.
    optimizers: what moves them and the method's weights.
    init: () -> state on the devices, compiled.
    like: shapes, types and shardings of the state, for reading a checkpoint.
  """

  crew: Crew
  method: Method
  schedule: Schedule
  optimizers: Optimizers
  init: Callable[[], TrainState]
  like: TrainState


@dataclasses.dataclass(frozen=True)
class Setup:
  """A run that is ready to start.

  Attributes:
    data: all splits.
    mesh: the devices.
    parts: network, method, optimisers.
    faculty: the teachers that the method asks.
    timetable: when it is logged, measured and saved.
    batch_size: images of an update.
    seed: of all its random numbers.
    mapped: whether networks of one architecture run in one vmapped call.
    steps_per_epoch: updates per epoch.
    streamed: whether `step` gets batches, and not the whole set.
    make_batch: see `batch.make_batcher`.
    train_step: (state, joined teacher variables, data, order) -> (state, scalars).
    step: the same, compiled; the state is donated.
    order: compiled, epoch -> positions [steps, B] on the devices.
  """

  data: Dataset
  mesh: jax.sharding.Mesh
  parts: Parts
  faculty: Faculty
  timetable: Timetable
  batch_size: int
  seed: int
  mapped: bool
  steps_per_epoch: int
  streamed: bool
  make_batch: Callable[[Array, dict[str, Array], Array], dict[str, Array]]
  train_step: Step
  step: jax.stages.Wrapped
  order: Callable[[Array], Array]

  @property
  def total_steps(self) -> int:
    return self.timetable.epochs * self.steps_per_epoch

  def device_data(self) -> dict[str, Array]:
    """The training set, then the extra images, copied to every device as bytes."""
    arrays = self.data.train.arrays()
    if self.data.extra is not None:
      extra = self.data.extra.arrays()
      arrays = {k: np.concatenate([v, extra[k]]) for k, v in arrays.items()}
    return sharding.put(arrays, sharding.replicated(self.mesh))

  def join_teachers(self, variables: Mapping[str, tuple[Tree, Tree]]) -> Tree:
    """What `step` takes, from {teacher's name: (params, stats)} on the devices."""
    return self.faculty.join(variables, self.mesh)
