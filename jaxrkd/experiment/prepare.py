"""Everything a run is made of, built from its config."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxrkd.data import Dataset, Split
from jaxrkd.data.batches import (
  Draw,
  class_balanced,
  epoch_order,
  extra_rows,
  mixed_order,
  steps_per_epoch,
  uniform,
)
from jaxrkd.errors import InputError
from jaxrkd.experiment import make
from jaxrkd.experiment.augmentation import make_augmentation
from jaxrkd.experiment.roles import roles as roles_of
from jaxrkd.models import Net
from jaxrkd.models.group import is_mapped
from jaxrkd.models.named import named_network
from jaxrkd.optimizers import Schedule, weight_sgd
from jaxrkd.runtime import sharding
from jaxrkd.train.batch import make_batcher
from jaxrkd.train.distiller import Distiller
from jaxrkd.train.learner import Learner
from jaxrkd.train.networks import make_networks
from jaxrkd.train.setup import Setup, Timetable
from jaxrkd.train.state import Optimizers, run_keys
from jaxrkd.train.step import make_train_step
from jaxrkd.train.streaming import is_streamed
from jaxrkd.train.teachers import freeze_teachers


def learner(
  config: ConfigDict,
  classes: int,
  image_shape: Sequence[int],
  mesh: jax.sharding.Mesh,
  schedule: Schedule | None = None,
) -> Learner:
  """Builds the networks, method and optimisers that a config names.

  Args:
    config: resolved.
    classes: number of logits.
    image_shape: (H, W, C).
    mesh: the devices.
    schedule: the learning rate; None is for reading a checkpoint, where only shapes count.
  """
  shape = tuple(image_shape)
  remat = config.get('remat', False)
  net = named_network(config.student, classes, shape, config.precision, remat)
  method = make.method(config)
  members = make.group(config, method, classes, shape)
  mapped = is_mapped(config.get('stacking', 'auto'))
  networks = make_networks(net, method.group, members, mapped)
  # The length of an epoch moves no shape; a long one suits every schedule.
  schedule = schedule or make.schedule(config, 1000)
  optimizers = Optimizers(
    student=make.optimizer(config, schedule),
    weights=weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
    ema_decay=config.ema.decay,
    ema_warmup=config.ema.warmup,
    swa_start=config.get('swa', {}).get('start', 0),
    swa_decay=config.get('swa', {}).get('decay', 0.0),
    rate=lambda step: schedule.rate(step) / schedule.peak,
  )
  return Learner(networks, method, optimizers, mesh, classes)


def timetable(config: ConfigDict) -> Timetable:
  """When a run is logged, measured and saved."""
  return Timetable(
    epochs=config.epochs,
    log_every=config.log_every,
    checkpoint_every=config.checkpoint_every,
    keep_epochs=tuple(config.keep_epochs),
    select_every=config.select.every,
    select_split=config.select.split,
    max_drop=config.select.max_drop,
  )


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
  check_micro_batch(config, mesh)
  schedule = make.schedule(config, per_epoch)
  made = learner(config, data.classes, data.image_shape, mesh, schedule)
  roles = roles_of(config, made.method)
  mapped = is_mapped(config.stacking)
  distiller = Distiller(
    learner=made,
    teachers=freeze_teachers(teacher_nets, roles, make.average(config), mapped),
    search=make.search(config),
    attack_bn=config.attack.bn,
    steps_per_epoch=per_epoch,
    epochs=config.schedule_len or config.epochs,
    micro_batch=config.micro_batch,
    awp=make.weight_perturbation(config),
  )
  extra = 0 if data.extra is None else len(data.extra)
  early, late = make_augmentation(config)
  for given in (early, *(late or ())[1:]):
    given.check_images(data.image_shape)
  streamed = is_streamed(config.stream, data)
  make_batch = make_batcher(
    classes=data.classes,
    real_images=count,
    masked=not extra and not config.drop_last and count % config.batch_size != 0,
    augmentation=early,
    late=late and (late[0] * per_epoch, late[1]),
    cutmix=config.augment.cutmix,
    smoothing=config.label_smoothing.amount,
    smooth_all=config.label_smoothing.on == 'all',
    chosen=streamed,
    split=sharding.rows(mesh),
  )
  train_step = make_train_step(distiller.update, make_batch)
  return Setup(
    data=data,
    distiller=distiller,
    schedule=schedule,
    timetable=timetable(config),
    batch_size=config.batch_size,
    seed=config.seed,
    mapped=mapped,
    streamed=streamed,
    make_batch=make_batch,
    train_step=train_step,
    step=jax.jit(
      train_step,
      out_shardings=(made.places, sharding.replicated(mesh)),
      donate_argnums=0,
    ),
    # A host that reads its rows needs to know them all, and asks no other.
    order=jax.jit(
      _order(config, data),
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


def _order(config: ConfigDict, data: Dataset) -> Callable[[jax.Array], jax.Array]:
  """epoch -> positions [steps, B]."""
  key = run_keys(jax.random.key(config.seed))[2]

  def draw(split: Split) -> Draw:
    if config.get('sampling', 'uniform') == 'class_balanced':
      return class_balanced(np.asarray(split.label))
    return uniform(len(split))

  if data.extra is None:
    return functools.partial(
      epoch_order,
      key,
      draw=draw(data.train),
      batch_size=config.batch_size,
      drop_last=config.drop_last,
    )
  return functools.partial(
    mixed_order,
    key,
    images=len(data.train),
    draw=draw(data.train),
    draw_extra=draw(data.extra),
    batch_size=config.batch_size,
    rows=extra_rows(config.batch_size, config.extra.real_fraction),
  )
