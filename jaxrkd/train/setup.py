"""Everything a run is made of, built from its config."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd.data import Dataset
from jaxrkd.data.batches import epoch_order, steps_per_epoch
from jaxrkd.errors import InputError
from jaxrkd.methods import Method
from jaxrkd.models import Net
from jaxrkd.optimizers import Schedule, sgd, weight_sgd
from jaxrkd.runtime import sharding
from jaxrkd.train.state import Optimizers, TrainState, init_state, run_keys
from jaxrkd.train.step import STUDENT, make_train_step, make_update

Tree = Any


@dataclasses.dataclass(frozen=True)
class Parts:
  """What decides the shape of a run's state.

  Attributes:
    net: the student.
    method: what trains it.
    schedule: its learning rate.
    optimizers: what moves it and the method's weights.
    init: () -> state on the devices, compiled.
    like: shapes, types and shardings of the state, for reading a checkpoint.
  """

  net: Net
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
  """Builds the network, method and optimiser that a config names."""
  net = build.network(config.student, classes, tuple(image_shape), config.precision)
  method = build.method(config)
  schedule = build.schedule(config, per_epoch)
  optimizers = Optimizers(
    student=sgd(schedule, **config.optimizer.to_dict()),
    weights=weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
    ema_decay=config.ema.decay,
    ema_warmup=config.ema.warmup,
  )
  init_key, step_key, _ = run_keys(config.seed)
  everywhere = sharding.replicated(mesh)
  init = jax.jit(
    functools.partial(
      init_state, nets={STUDENT: net}, method=method, optimizers=optimizers
    ),
    out_shardings=everywhere,
  )
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere),
    jax.eval_shape(init, init_key, step_key),
  )
  return Parts(
    net, method, schedule, optimizers, functools.partial(init, init_key, step_key), like
  )


@dataclasses.dataclass(frozen=True)
class Setup:
  """A run that is ready to start.

  Attributes:
    config: the resolved config.
    data: all splits.
    mesh: the devices.
    parts: network, method, optimisers.
    steps_per_epoch: updates per epoch.
    step: compiled, (state, teacher variables, data, order) -> (state, scalars); the state
      is donated.
    order: compiled, epoch -> positions [steps, B] on the devices.
  """

  config: ConfigDict
  data: Dataset
  mesh: jax.sharding.Mesh
  parts: Parts
  steps_per_epoch: int
  step: Any
  order: Any

  @property
  def total_steps(self) -> int:
    return self.config.epochs * self.steps_per_epoch

  def device_data(self) -> dict[str, jax.Array]:
    """The training set, copied to every device as bytes."""
    return sharding.put(self.data.train.arrays(), sharding.replicated(self.mesh))


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
  count = len(data.train)
  per_epoch = steps_per_epoch(count, config.batch_size, config.drop_last)
  if not per_epoch:
    raise InputError(
      f'batch_size is {config.batch_size} and drop_last is set, but there are only {count} '
      'training images; choose a smaller batch'
    )
  made = parts(config, data.classes, data.image_shape, mesh, per_epoch)
  update = make_update(
    made.net,
    {name: teacher_nets[name] for name in made.method.teachers},
    made.method,
    build.search(config),
    made.optimizers,
    attack_bn=config.attack.bn,
    steps_per_epoch=per_epoch,
  )
  train_step = make_train_step(
    update,
    pad=config.augment.pad,
    flip=config.augment.flip,
    masked=not config.drop_last and count % config.batch_size != 0,
    split=sharding.rows(mesh),
  )
  everywhere = sharding.replicated(mesh)
  order = functools.partial(
    epoch_order,
    run_keys(config.seed)[2],
    images=count,
    batch_size=config.batch_size,
    drop_last=config.drop_last,
  )
  return Setup(
    config=config,
    data=data,
    mesh=mesh,
    parts=made,
    steps_per_epoch=per_epoch,
    step=jax.jit(train_step, out_shardings=(everywhere, everywhere), donate_argnums=0),
    order=jax.jit(order, out_shardings=sharding.rows(mesh, 1)),
  )
