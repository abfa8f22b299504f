"""`Method`: what one published training method must supply, as pure functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxrkd.errors import InputError
from jaxrkd.methods.answering import at_the_door
from jaxrkd.methods.inner import Inner

Array = jax.Array
Tree = Any
# `image` [B, H, W, C] in [0, 1]; `label` [B]; `epoch`, a scalar from 0; where labels are
# mixed or smoothed `target` [B, classes]; where rows are padding `mask` [B], 0 or 1.
Batch = Mapping[str, Array]
Terms = dict[str, Array]
# (stats, images) -> (logits, new stats), in training mode. The order of calls is the
# order in which BatchNorm sees images, and belongs to the method.
Student = Callable[[Tree, Array], tuple[Array, Tree]]


class Teacher(Protocol):
  """A frozen network, or the weighted mean of several; no gradient reaches it."""

  def __call__(self, images: Array, temperature: float = 1.0) -> Array:
    """Logits [B, classes] whose softmax is the prediction at that temperature."""
    ...


class Networks(NamedTuple):
  """What a method with a group trains; `stats` holds those of all networks by name.

  Attributes:
    student: (stats, images [B or k B, ...]) -> (logits, new stats), the network beside
      the group, in training mode.
    group: (stats, images [n, B or k B, ...]) -> (logits [n, ..., classes], new stats),
      each member on its own images, in training mode.
    still: as `group`, in evaluation mode: -> logits.
  """

  student: Callable[[Tree, Array], tuple[Array, Tree]]
  group: Callable[[Tree, Array], tuple[Array, Tree]]
  still: Callable[[Tree, Array], Array]


class Attacked(NamedTuple):
  """The adversarial images of a method with a group.

  Attributes:
    particles: [n, B, H, W, C], one per member and image.
    student: [B, H, W, C], the student's own, where the method asks for them.
  """

  particles: Array
  student: Array | None = None


# By role: 'all', a kind ('clean', 'robust'), or the name of one teacher.
Teachers = Mapping[str, Teacher]


class MethodState(NamedTuple):
  """What a method keeps between two updates of the student.

  Attributes:
    step: updates done.
    weights: its own weights.
    weights_opt: state of what moves them.
    memory: what it remembers.
  """

  step: Array
  weights: Tree
  weights_opt: Tree
  memory: Tree


class Evaluated(NamedTuple):
  """What comes with the value of a loss.

  Attributes:
    state: the method's after this update.
    stats: the student's after its forward passes.
    terms: named losses, not yet weighted.
  """

  state: MethodState
  stats: Tree
  terms: Terms


def _nothing_observed(memory: Tree, terms: Terms, epoch: Array, first: Array) -> Tree:
  del terms, epoch, first
  return memory


def _no_gradient(weights: Tree, memory: Tree, terms: Terms) -> Tree:
  del memory, terms
  return jax.tree.map(jnp.zeros_like, weights)


def _weights_as_metrics(weights: Tree, memory: Tree, terms: Terms) -> Terms:
  del memory, terms
  return {f'weight_{name}': value for name, value in weights.items()}


def _any_size(count: int) -> None:
  del count


def sum_of_terms(terms: Terms, weights: Tree) -> Array:
  """The total of a method whose terms carry their factors."""
  del weights
  return sum(terms.values(), start=jnp.zeros(()))


class _MethodFields(NamedTuple):
  inner: Inner
  terms: Callable[[Any, Tree, Teachers, Batch, Any], tuple[Terms, Tree]]
  teachers: tuple[str, ...] = ()
  total: Callable[[Terms, Tree], Array] = sum_of_terms
  weights: Tree = {}
  weight_rate: float = 0.0
  weight_rate_decays: bool = False
  weight_gradient: Callable[[Tree, Tree, Terms], Tree] = _no_gradient
  memory: Tree = {}
  observe: Callable[[Tree, Terms, Array, Array], Tree] = _nothing_observed
  report: Callable[[Tree, Tree, Terms], Terms] = _weights_as_metrics
  group: str = ''
  students: int = 0
  attacks_student: bool = False
  check_group: Callable[[int], None] = _any_size


class Method(_MethodFields):
  """A training method.

  Attributes:
    inner: what the attack raises, unless `config.inner` names another.
    terms: (student, stats, teachers, batch, adversarial images) -> (named scalar losses,
      new stats). Differentiated with respect to the student.
    teachers: roles it asks for; each is a key of the `teachers` it is given.
    total: (terms, weights) -> the scalar that is minimised.
    weights: initial weights of its own, which optax moves before they are used.
    weight_rate: learning rate of `optax.sgd` on the weights.
    weight_rate_decays: whether it falls with the student's learning rate.
    weight_gradient: (weights, memory, terms) -> gradient of the weights.
    memory: what it remembers between steps, initially.
    observe: (memory, terms, epoch, is this the first step) -> memory; runs before
      `weight_gradient`. Neither sees gradients.
    report: (weights, memory, terms) -> scalars worth logging beside the terms.
    group: networks that are trained together, each on its own particle: 'teachers' beside
      the student, named in `config.online`; 'students', which are all there is; or ''
      for the student alone. With a group, `terms` is given `Networks` and `Attacked`.
    students: how many, for a group of students.
    attacks_student: make adversarial images of the student beside a group, too.
    check_group: (number of members) -> None, raising `InputError` for one that the
      method cannot use.
  """

  __slots__ = ()

  def __new__(cls, *arguments, **named):
    made = super().__new__(cls, *arguments, **named)
    return made._replace(terms=at_the_door(made.terms, 2, lambda: made.teachers))

  def init(self, optimizer: optax.GradientTransformation | None = None) -> MethodState:
    """The state of the method before the first update.

    Args:
      optimizer: moves its weights; None is `optax.sgd(weight_rate)`.
    """
    # Strongly typed: a weak type would become strong after a step and compile it again.
    weights = jax.tree.map(lambda w: jnp.asarray(w, jnp.result_type(float)), self.weights)
    opt = (optimizer or optax.sgd(self.weight_rate)).init(weights)
    return MethodState(jnp.zeros((), jnp.int32), weights, opt, self.memory)

  def loss(
    self,
    state: MethodState,
    student: Any,
    stats: Tree,
    teachers: Teachers,
    batch: Batch,
    adversarial: Any,
    optimizer: optax.GradientTransformation | None = None,
  ) -> tuple[Array, Evaluated]:
    """The scalar that is minimised, to be differentiated with respect to the student.

    The method's weights move first, by these losses, and weigh them then; no gradient
    passes through them.

    Args:
      state: from `init`, or of the update before.
      student: (stats, images) -> (logits, new stats), in training mode; `Networks` for a
        method with a group.
      stats: of the student; anything, such as (), where it has none.
      teachers: by role, images -> logits [B, classes].
      batch: `image` [B, H, W, C] in [0, 1] and `label` [B]; see `Batch`. `epoch` counts
        as 0 where it is not there.
      adversarial: images [B, H, W, C]; `Attacked` for a method with a group.
      optimizer: that of `init`.

    Raises:
      InputError: a teacher that the method asks for is missing, or images are no floats.
    """
    for images in jax.tree.leaves((batch['image'], adversarial)):
      if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(
          f'the images of a loss are {images.dtype}; give floats in [0, 1], such as '
          'images / 255'
        )
    batch = batch if 'epoch' in batch else {**batch, 'epoch': jnp.zeros((), jnp.int32)}
    terms, stats = self.terms(student, stats, teachers, batch, adversarial)
    fixed = jax.lax.stop_gradient(terms)
    memory = self.observe(state.memory, fixed, batch['epoch'], state.step == 0)
    pull = self.weight_gradient(state.weights, memory, fixed)
    changes, opt = (optimizer or optax.sgd(self.weight_rate)).update(
      pull, state.weights_opt, state.weights
    )
    weights = optax.apply_updates(state.weights, changes)
    moved = MethodState(state.step + 1, weights, opt, memory)
    return self.total(terms, weights), Evaluated(moved, stats, terms)


def batch_mean(values: Array, batch: Batch) -> Array:
  """Mean of [B] values over the rows that count."""
  if 'mask' not in batch:
    return jnp.mean(values)
  mask = batch['mask'].astype(values.dtype)
  return jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1)


def labels(batch: Batch) -> Array:
  """[B] integers, or [B, classes] probabilities where labels are mixed or smoothed."""
  return batch.get('target', batch['label'])


def label_probs(batch: Batch, classes: int) -> Array:
  """Labels as probabilities [B, classes]: one-hot unless mixed or smoothed."""
  if 'target' in batch:
    return batch['target']
  return jax.nn.one_hot(batch['label'], classes)


def forward_both(
  student: Student, stats: Tree, images: Mapping[str, Array], order: str
) -> tuple[dict[str, Array], Tree]:
  """Passes 'adv' and 'nat' images through the student in a stated order.

  Args:
    student: in training mode.
    stats: before the first pass.
    images: {'adv': x', 'nat': x}.
    order: 'adv_nat' or 'nat_adv'.

  Returns:
    ({'adv': logits, 'nat': logits}, stats after the second pass).
  """
  logits = {}
  for name in order.split('_'):
    logits[name], stats = student(stats, images[name])
  return logits, stats


FORWARD_ORDERS = ('adv_nat', 'nat_adv')


def choose_stats(first: Array, yes: Tree, no: Tree) -> Tree:
  """`yes` where the scalar `first` is true, else `no`: which passes have counted."""
  return jax.tree.map(lambda a, b: jnp.where(first, a, b), yes, no)
