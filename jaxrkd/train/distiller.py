"""The train step with everything it is made of: for the program, and for one's own loop."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import Search, doors
from jaxrkd.attacks.ramp import Ramp
from jaxrkd.errors import InputError, nearest
from jaxrkd.runtime import sharding
from jaxrkd.train.averages import moving_average
from jaxrkd.train.batch import keys_of
from jaxrkd.train.learner import Learner
from jaxrkd.train.networks import STUDENT
from jaxrkd.train.state import TrainState
from jaxrkd.train.step import Batch, Metrics, make_update
from jaxrkd.train.teachers import FrozenTeachers
from jaxrkd.train.weight_perturbation import WeightPerturbation

Array = jax.Array
Tree = Any
Update = Callable[[TrainState, Tree, Batch], tuple[TrainState, Metrics]]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Distiller:
  """One method that trains one set of networks; see `distill`.

  Attributes:
    learner: networks, method and optimisers.
    teachers: frozen networks by the roles they play.
    search: the attack that raises the inner problem, or how it grows.
    attack_bn: BatchNorm of those attacked: 'eval', 'batch' or 'train'.
    steps_per_epoch: updates per epoch.
    epochs: of the whole training; 0 is not known.
    micro_batch: images at once in attacks and teachers; 0 is all.
    awp: where the weights move before their gradient is taken.
    teacher_variables: what `step` gives the teachers, from `FrozenTeachers.join`.
  """

  learner: Learner
  teachers: FrozenTeachers
  search: Search | Ramp
  attack_bn: str = 'eval'
  steps_per_epoch: int = 1
  epochs: int = 0
  micro_batch: int = 0
  awp: WeightPerturbation | None = None
  teacher_variables: Tree = ()

  def __repr__(self) -> str:
    names = ', '.join(self.learner.networks.nets)
    return f'Distiller of {names} taught by {", ".join(self.teachers.names) or "nobody"}'

  @functools.cached_property
  def update(self) -> Update:
    """(state, joined teacher variables, batch) -> (state, scalars); see `make_update`."""
    learner = self.learner
    return make_update(
      learner.networks,
      self.teachers,
      learner.method,
      self.search,
      learner.optimizers,
      attack_bn=self.attack_bn,
      steps_per_epoch=self.steps_per_epoch,
      epochs=self.epochs,
      mesh=learner.mesh,
      micro_batch=self.micro_batch,
      awp=self.awp,
    )

  def init(self, key: Array) -> TrainState:
    """The state before the first step, on all devices.

    Args:
      key: such as `jax.random.key(0)`; all randomness of the training follows from it.
    """
    return self.learner.init(key)

  def step(
    self,
    state: TrainState,
    images: Any,
    labels: Any,
    *,
    index: Any = None,
    mask: Any = None,
  ) -> tuple[TrainState, Metrics]:
    """One update of all trained networks, compiled once for each shape of a batch.

    Args:
      state: from `init` or the step before. Its memory is reused: it cannot be read again.
      images: [B, H, W, C] floats in [0, 1], or uint8; B is a multiple of the number of
        devices.
      labels: [B] integers, or [B, classes] probabilities where they are mixed or smoothed.
      index: [B], each image's number in the data set, from which its random numbers
        follow; by default its place in the batch.
      mask: [B], 0 for rows that are padding and 1 for the others; None counts all. Losses
        and jaxrkd's BatchNorm leave padding out; Flax's BatchNorm counts it.

    Returns:
      (new state, scalars by name: the loss, its terms, the method's weights). They stay on
      the devices: `float(scalars['loss'])` waits for the step.

    Raises:
      InputError: something else in the place of an argument. Values are looked at where
        they are numpy's, and of the first batch.
    """
    if any(leaf.is_deleted() for leaf in jax.tree.leaves(state)):
      raise InputError(
        'the state was given to a step before, which has reused its memory; use the '
        'state that this step returned, or copy it first: jax.tree.map(jnp.copy, state)'
      )
    batch = self._checked(images, labels, index, mask)
    return self._step(state, self.teacher_variables, batch)

  def logits_fn(
    self, state: TrainState, network: str = '', average: bool = False
  ) -> Callable[[Array], Array]:
    """images [B, H, W, C] -> logits [B, classes] of a trained network, to be evaluated.

    As in `step`, images are floats in [0, 1] or uint8.

    Args:
      state: between two steps. The function has copies and outlives the next step.
      network: which, where several are trained; empty takes the student.
      average: take the moving average of its parameters.

    Raises:
      InputError: no such network, or no average is kept.
    """
    name = self._name(network)
    own = self.learner.networks.nets[name].logits_fn(
      *self.variables(state, name, average)
    )
    return lambda images: own(in_unit_range(images))

  def variables(
    self, state: TrainState, network: str = '', average: bool = False
  ) -> tuple[Tree, Tree]:
    """Copies of (params, stats) of a trained network; arguments as `logits_fn`."""
    found = state.nets[self._name(network)]
    moving = moving_average(found.average)
    if average and not jax.tree.leaves(moving):
      raise InputError(
        'no average of the parameters is kept; ask for one by distill(..., ema_decay=0.995)'
      )
    params = moving if average else found.params
    # Copies: the next step reuses the memory of the state.
    return jax.tree.map(lambda leaf: leaf.copy(), (params, found.stats))

  def _name(self, network: str) -> str:
    networks = self.learner.networks
    name = network or (STUDENT if networks.student else networks.names[0])
    if name not in networks.nets:
      raise InputError(
        f'no network {name!r} is trained{nearest(name, networks.nets)} (there: '
        f'{", ".join(networks.nets)})'
      )
    return name

  @functools.cached_property
  def _step(self) -> Callable[[TrainState, Tree, Batch], tuple[TrainState, Metrics]]:
    mesh = self.learner.mesh

    def step(state, teacher_variables, given):
      key = jax.random.fold_in(state.key, state.step)
      # The other half of the keys is for augmenting, which is done before.
      _, attack_keys = keys_of(key, given['index'])
      image = in_unit_range(given['image'])
      return self.update(
        state, teacher_variables, {**given, 'image': image, 'key': attack_keys}
      )

    places = (self.learner.places, sharding.replicated(mesh))
    return jax.jit(step, out_shardings=places, donate_argnums=0)

  @functools.cached_property
  def _seen(self) -> dict[tuple[Any, ...], int]:
    """Shapes and types of batches that were looked at -> how many classes there are."""
    return {}

  def _checked(self, images: Any, labels: Any, index: Any, mask: Any) -> dict[str, Array]:
    """The batch, on the devices."""
    shape, dtype = doors.check_image_type(images)
    count, mesh = shape[0], self.learner.mesh
    sharding.check_batch_size(count, mesh, 'the number of images in a batch')
    if self.micro_batch and count % self.micro_batch:
      raise InputError(
        f'there are {count} images in a batch, but micro_batch is {self.micro_batch}, '
        'which does not divide it; change one of the two'
      )
    labels = labels if hasattr(labels, 'dtype') else np.asarray(labels)
    kind = (shape, dtype, np.shape(labels))
    new = kind not in self._seen
    if dtype != np.uint8 and (new or isinstance(images, np.ndarray)):
      doors.check_range(np.asarray(images))
    classes = self._classes(shape) if new else self._seen[kind]
    given = {'image': images}
    if np.ndim(labels) == 2:
      given |= _soft(labels, count, classes, new)
    else:
      if new or not isinstance(labels, jax.Array):
        doors.check_labels(labels, count, classes)
      given['label'] = labels
    given['index'] = np.arange(count, dtype=np.int32) if index is None else index
    index_type = getattr(given['index'], 'dtype', None) or np.asarray(index).dtype
    if not jnp.issubdtype(index_type, jnp.integer):
      raise InputError('index holds no integers; give the number of each image')
    if mask is not None:
      given['mask'] = np.asarray(mask, np.float32)
      if not np.isin(given['mask'], (0, 1)).all():
        raise InputError('mask holds more than 0 and 1; give 0 for padding, 1 for images')
    for name in ('index', 'mask'):
      if name in given and np.shape(given[name]) != (count,):
        raise InputError(
          f'{name} has shape {np.shape(given[name])}; give one number for each of the '
          f'{count} images'
        )
    if not self._seen:
      self._check_teachers(images)
    self._seen[kind] = classes
    rows = sharding.rows(mesh)
    return {name: _placed(value, rows) for name, value in given.items()}

  def _check_teachers(self, images: Any) -> None:
    """Refuses teachers whose answers are no logits, by those on a few images."""
    scale = np.float32(255 if images.dtype == np.uint8 else 1)
    # A new array: one of JAX is read-only, and one of numpy is its owner's.
    few = np.asarray(images[: self.learner.mesh.size], np.float32) / scale
    for (stack, names), variables in zip(self.teachers.stacks, self.teacher_variables):
      answers = np.asarray(jax.jit(stack.logits)(variables, few), np.float64)
      for name, logits in zip(names, answers):
        if not np.isfinite(logits).all():
          raise InputError(
            f'teacher {name!r} gives values that are not finite numbers; mend it or its '
            'weights'
          )
        if (logits >= 0).all() and np.allclose(logits.sum(-1), 1, atol=1e-3):
          raise InputError(
            f'teacher {name!r} gives probabilities (no value is negative, and each row adds '
            'up to 1); methods need logits, so leave the softmax out, or return '
            'log-probabilities'
          )

  def _classes(self, shape: tuple[int, ...]) -> int:
    """How many classes all networks know; asks shapes alone."""
    images = jax.ShapeDtypeStruct(shape, jnp.result_type(float))
    like, networks = self.learner.like, self.learner.networks
    known = {}
    for name, net in networks.nets.items():
      own = like.nets[name]
      known[name] = _classes_of(name, net.apply, own.params, own.stats, images)
    for (stack, names), variables in zip(self.teachers.stacks, self.teacher_variables):
      name, first = f'teacher {names[0]!r}', lambda *given, s=stack: s.logits(*given)[0]
      known[name] = _classes_of(name, first, variables, images)
    if len(set(known.values())) > 1:
      listed = ', '.join(f'{name} {classes}' for name, classes in known.items())
      raise InputError(
        f'all networks must know the same classes, but they give these numbers of logits: '
        f'{listed}'
      )
    return next(iter(known.values()))


def in_unit_range(images: Array) -> Array:
  """Images as floats in [0, 1]: uint8 divided by 255."""
  scale = 255 if images.dtype == jnp.uint8 else 1
  return images.astype(jnp.result_type(float)) / scale


def _classes_of(name: str, apply: Callable[..., Array], *given: Any) -> int:
  """How many logits a network gives for images, the last of what it is given."""
  images = given[-1]
  try:
    try:
      found = jax.eval_shape(apply, *given)
    except Exception as error:
      raise doors.fails(error, images.shape, images.dtype) from error
    return doors.check_logits(found, images.shape)
  except InputError as error:
    raise InputError(f'{name}: {error}') from error


def _soft(labels: Any, count: int, classes: int, new: bool) -> dict[str, Any]:
  """Labels that are probabilities [B, classes], and the class that each stands for."""
  shape = np.shape(labels)
  if shape != (count, classes):
    raise InputError(
      f'labels have shape {shape}; as probabilities they must be [{count}, {classes}]'
    )
  if new or isinstance(labels, np.ndarray):
    values = np.asarray(labels, np.float64)
    if not (values >= 0).all() or not np.allclose(values.sum(-1), 1, atol=1e-3):
      raise InputError(
        'labels of shape [B, classes] are not probabilities: each row must be 0 or more '
        'and have the sum 1; give classes as integers [B]'
      )
  return {'label': jnp.argmax(jnp.asarray(labels), -1), 'target': labels}


def _placed(value: Any, rows: jax.sharding.NamedSharding) -> Array:
  if isinstance(value, jax.Array):
    return jax.device_put(value, rows)
  return sharding.put(value, rows)
