"""A run that is ready to start: what it is made of, and when what happens to it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.data import Dataset
from jaxrkd.optimizers import Schedule
from jaxrkd.runtime import sharding
from jaxrkd.train.distiller import Distiller
from jaxrkd.train.learner import Learner
from jaxrkd.train.state import TrainState

Array = jax.Array
Tree = Any
Scalars = dict[str, Array]
# Images that are copied at once.
PIECE = 8192
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
class Setup:
  """A run that is ready to start.

  Attributes:
    data: all splits.
    distiller: networks, method, optimisers, teachers and the step they share.
    schedule: the networks' learning rate.
    timetable: when it is logged, measured and saved.
    batch_size: images of an update.
    seed: of all its random numbers.
    mapped: whether networks of one architecture run in one vmapped call.
    streamed: whether `step` gets batches, and not the whole set.
    make_batch: see `batch.make_batcher`.
    train_step: (state, joined teacher variables, data, order) -> (state, scalars).
    step: the same, compiled; the state is donated.
    order: compiled, epoch -> positions [steps, B] on the devices.
  """

  data: Dataset
  distiller: Distiller
  schedule: Schedule
  timetable: Timetable
  batch_size: int
  seed: int
  mapped: bool
  streamed: bool
  make_batch: Callable[[Array, dict[str, Array], Array, Array], dict[str, Array]]
  train_step: Step
  step: jax.stages.Wrapped
  order: Callable[[Array], Array]

  @property
  def learner(self) -> Learner:
    return self.distiller.learner

  @property
  def mesh(self) -> jax.sharding.Mesh:
    return self.learner.mesh

  @property
  def steps_per_epoch(self) -> int:
    return self.distiller.steps_per_epoch

  @property
  def total_steps(self) -> int:
    return self.timetable.epochs * self.steps_per_epoch

  def init(self) -> TrainState:
    """The run before its first step, on the devices."""
    return self.learner.init(jax.random.key(self.seed))

  def device_data(self) -> dict[str, Array]:
    """The training set, then the extra images, copied to every device as bytes."""
    arrays = self.data.train.arrays()
    if self.data.extra is not None:
      # One array, filled part by part: of images that stay on disk there are no two copies.
      extra, first = self.data.extra, len(self.data.train)
      for name, values in arrays.items():
        whole = np.empty((first + len(extra), *values.shape[1:]), values.dtype)
        whole[:first] = values
        more = getattr(extra, name)
        for begin in range(0, len(extra), PIECE):
          part = more[begin : begin + PIECE]
          whole[first + begin : first + begin + len(part)] = part
        arrays[name] = whole
    return sharding.put(arrays, sharding.replicated(self.mesh))

  def join_teachers(self, variables: Mapping[str, tuple[Tree, Tree]]) -> Tree:
    """What `step` takes, from {teacher's name: (params, stats)} on the devices."""
    return self.distiller.teachers.join(variables, self.mesh)
