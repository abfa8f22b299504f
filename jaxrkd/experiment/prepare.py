"""Everything a run is made of, built from its config."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
from ml_collections import ConfigDict

from jaxrkd.data import Dataset
from jaxrkd.data.batches import epoch_order, extra_rows, mixed_order, steps_per_epoch
from jaxrkd.errors import InputError
from jaxrkd.experiment import make
from jaxrkd.experiment.roles import roles as roles_of
from jaxrkd.models import Net
from jaxrkd.models.group import is_mapped
from jaxrkd.models.named import named_network
from jaxrkd.optimizers import sgd, weight_sgd
from jaxrkd.runtime import sharding
from jaxrkd.train.batch import make_batcher
from jaxrkd.train.crew import make_crew
from jaxrkd.train.setup import Parts, Setup, Timetable
from jaxrkd.train.state import Optimizers, init_state, run_keys
from jaxrkd.train.step import make_train_step, make_update
from jaxrkd.train.streaming import is_streamed
from jaxrkd.train.teachers import make_faculty


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
  net = named_network(config.student, classes, shape, config.precision, remat)
  method = make.method(config)
  members = make.group(config, method, classes, shape)
  mapped = is_mapped(config.get('stacking', 'auto'))
  crew = make_crew(net, method.group, members, mapped)
  schedule = make.schedule(config, per_epoch)
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
  made = parts(config, data.classes, data.image_shape, mesh, per_epoch)
  roles = roles_of(config, made.method)
  mapped = is_mapped(config.stacking)
  faculty = make_faculty(teacher_nets, roles, make.average(config), mapped)
  check_micro_batch(config, mesh)
  update = make_update(
    made.crew,
    faculty,
    made.method,
    make.search(config),
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
    data=data,
    mesh=mesh,
    parts=made,
    timetable=timetable(config),
    batch_size=config.batch_size,
    seed=config.seed,
    mapped=mapped,
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


def _order(
  config: ConfigDict, images: int, extra: int
) -> Callable[[jax.Array], jax.Array]:
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
