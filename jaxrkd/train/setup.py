"""Everything a run is made of, built from its config."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd.data import Dataset
from jaxrkd.data.batches import epoch_order, extra_rows, mixed_order, steps_per_epoch
from jaxrkd.errors import InputError
from jaxrkd.methods import Method
from jaxrkd.models import Net
from jaxrkd.models.group import is_mapped
from jaxrkd.optimizers import Schedule, sgd, weight_sgd
from jaxrkd.runtime import sharding
from jaxrkd.train.batch import make_batcher
from jaxrkd.train.crew import Crew, make_crew
from jaxrkd.train.state import Optimizers, TrainState, init_state, run_keys
from jaxrkd.train.step import make_train_step, make_update
from jaxrkd.train.streaming import is_streamed
from jaxrkd.train.teachers import Faculty, make_faculty

Tree = Any


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
  init: Any
  like: TrainState


def parts(
  config: ConfigDict,
  classes: int,
  image_shape: Sequence[int],
  mesh: jax.sharding.Mesh,
  per_epoch: int = 1,
) -> Parts:
  """Builds the networks, method and optimiser that a config names."""
  shape = tuple(image_shape)
  remat = config.get('remat', False)
  net = build.network(config.student, classes, shape, config.precision, remat)
  method = build.method(config)
  members = build.group(config, method, classes, shape)
  mapped = is_mapped(config.get('stacking', 'auto'))
  crew = make_crew(net, method.group, members, mapped)
  schedule = build.schedule(config, per_epoch)
  optimizers = Optimizers(
    student=sgd(schedule, **config.optimizer.to_dict()),
    weights=weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
    ema_decay=config.ema.decay,
    ema_warmup=config.ema.warmup,
  )
  init_key, step_key, _ = run_keys(config.seed)
  made = functools.partial(
    init_state, nets=dict(crew.nets), method=method, optimizers=optimizers
  )
  shapes = jax.eval_shape(made, init_key, step_key)
  places = sharding.spread(mesh, shapes)
  init = jax.jit(made, out_shardings=places)
  like = jax.tree.map(
    lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
    *(shapes, places),
  )
  return Parts(
    crew, method, schedule, optimizers, functools.partial(init, init_key, step_key), like
  )


@dataclasses.dataclass(frozen=True)
class Setup:
  """A run that is ready to start.

  Attributes:
    config: the resolved config.
    data: all splits.
    mesh: the devices.
    parts: network, method, optimisers.
    faculty: the teachers that the method asks.
    steps_per_epoch: updates per epoch.
    streamed: whether `step` gets batches, and not the whole set.
    make_batch: see `batch.make_batcher`.
    train_step: (state, joined teacher variables, data, order) -> (state, scalars).
    step: the same, compiled; the state is donated.
    order: compiled, epoch -> positions [steps, B] on the devices.
  """

  config: ConfigDict
  data: Dataset
  mesh: jax.sharding.Mesh
  parts: Parts
  faculty: Faculty
  steps_per_epoch: int
  streamed: bool
  make_batch: Any
  train_step: Any
  step: Any
  order: Any

  @property
  def total_steps(self) -> int:
    return self.config.epochs * self.steps_per_epoch

  def device_data(self) -> dict[str, jax.Array]:
    """The training set, then the extra images, copied to every device as bytes."""
    arrays = self.data.train.arrays()
    if self.data.extra is not None:
      extra = self.data.extra.arrays()
      arrays = {k: np.concatenate([v, extra[k]]) for k, v in arrays.items()}
    return sharding.put(arrays, sharding.replicated(self.mesh))

  def join_teachers(self, variables: Mapping[str, tuple[Tree, Tree]]) -> Tree:
    """What `step` takes, from {teacher's name: (params, stats)} on the devices."""
    return self.faculty.join(variables, self.mesh)


def prepare(
  config: ConfigDict,
  data: Dataset,
  teacher_nets: Mapping[str, Net],
  mesh: jax.sharding.Mesh,
) -> Setup:
  """Builds and jits a run; compiles nothing yet.

  Raises:
    InputError: batch size and devices or data do not fit.
  """
  sharding.check_batch_size(config.batch_size, mesh, 'batch_size')
  check_batch_fits(config, data)
  count = len(data.train)
  drop_last = config.drop_last and data.extra is None
  per_epoch = steps_per_epoch(count, config.batch_size, drop_last)
  made = parts(config, data.classes, data.image_shape, mesh, per_epoch)
  roles = build.roles(config, made.method)
  mapped = is_mapped(config.stacking)
  faculty = make_faculty(teacher_nets, roles, build.average(config), mapped)
  check_micro_batch(config, mesh)
  update = make_update(
    made.crew,
    faculty,
    made.method,
    build.search(config),
    made.optimizers,
    attack_bn=config.attack.bn,
    mesh=mesh,
    micro_batch=config.micro_batch,
    steps_per_epoch=per_epoch,
  )
  extra = 0 if data.extra is None else len(data.extra)
  streamed = is_streamed(config.stream, data)
  make_batch = make_batcher(
    classes=data.classes,
    real_images=count,
    masked=not extra and not config.drop_last and count % config.batch_size != 0,
    options=config.augment.to_dict(),
    smoothing=config.label_smoothing.amount,
    smooth_all=config.label_smoothing.on == 'all',
    chosen=streamed,
    split=sharding.rows(mesh),
  )
  everywhere = sharding.replicated(mesh)
  places = jax.tree.map(lambda leaf: leaf.sharding, made.like)
  train_step = make_train_step(update, make_batch)
  return Setup(
    config=config,
    data=data,
    mesh=mesh,
    parts=made,
    faculty=faculty,
    steps_per_epoch=per_epoch,
    streamed=streamed,
    make_batch=make_batch,
    train_step=train_step,
    step=jax.jit(
      train_step,
      out_shardings=(places, everywhere),
      donate_argnums=0,
    ),
    # A host that reads its rows needs to know them all, and asks no other.
    order=jax.jit(
      _order(config, count, extra),
      out_shardings=None if streamed else sharding.rows(mesh, 1),
    ),
  )


def check_batch_fits(config: ConfigDict, data: Dataset) -> None:
  """Raises `InputError` for batches of more images than there are."""
  count = len(data.train) + (0 if data.extra is None else len(data.extra))
  if config.batch_size > count:
    raise InputError(
      f'batch_size is {config.batch_size}, but there are only {count} training images; '
      'choose a smaller batch'
    )


def check_micro_batch(config: ConfigDict, mesh: jax.sharding.Mesh) -> None:
  """Raises `InputError` unless batches are made of whole micro-batches."""
  size, batch = config.micro_batch, config.batch_size
  if not size:
    return
  sharding.check_batch_size(size, mesh, 'config.micro_batch')
  if batch % size:
    raise InputError(
      f'config.micro_batch is {size}, which does not divide config.batch_size, {batch}; '
      f'choose a divisor of it, such as {mesh.size}'
    )


def _order(config: ConfigDict, images: int, extra: int) -> Any:
  """epoch -> positions [steps, B]."""
  key = run_keys(config.seed)[2]
  if not extra:
    return functools.partial(
      epoch_order,
      key,
      images=images,
      batch_size=config.batch_size,
      drop_last=config.drop_last,
    )
  return functools.partial(
    mixed_order,
    key,
    images=images,
    extra=extra,
    batch_size=config.batch_size,
    rows=extra_rows(config.batch_size, config.extra.real_fraction),
  )
