"""`Method`: what one published training method must supply, as pure functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from jaxrkd.errors import InputError
from jaxrkd.methods import epoch_sums
from jaxrkd.methods.answering import at_the_door
from jaxrkd.methods.inner import Inner

Array = jax.Array
Tree = Any
# `image` [B, H, W, C] in [0, 1]; `label` [B]; where labels are mixed or smoothed `target`
# [B, classes]; where rows are padding `mask` [B], 0 or 1. What a step adds: `MOMENT`,
# `memory`, the method's own, and for `Method.counts_withstood` `withstood` [B]. A method may
# add `weight` [B], by which every term counts an image.
Batch = Mapping[str, Any]
# Scalars: updates done, also as a share of all; the epoch, from 0; the share of all epochs
# that this one ends; the student's learning rate relative to its peak.
MOMENT = ('step', 'fraction', 'epoch', 'progress', 'rate')
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


def _nothing_observed(memory: Tree, terms: Terms, batch: Batch) -> Tree:
  del terms, batch
  return memory


def _nothing_changes(memory: Tree, sums: Tree, counts: Array, batch: Batch) -> Tree:
  del sums, counts, batch
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
  terms: Callable[[Any, Tree, Teachers, Batch, Any], tuple[Any, ...]]
  teachers: tuple[str, ...] = ()
  total: Callable[[Terms, Tree], Array] = sum_of_terms
  weights: Tree = {}
  weight_rate: float = 0.0
  weight_rate_decays: bool = False
  weight_gradient: Callable[[Tree, Tree, Terms], Tree] = _no_gradient
  memory: Tree = {}
  observe: Callable[[Tree, Terms, Batch], Tree] = _nothing_observed
  report: Callable[[Tree, Tree, Terms], Terms] = _weights_as_metrics
  group: str = ''
  students: int = 0
  attacks_student: bool = False
  check_group: Callable[[int], None] = _any_size
  attacks_group: bool = True
  counts_withstood: bool = False
  asks_average: bool = False
  sums: Callable[[int], Mapping[str, Array]] | None = None
  end_of_epoch: epoch_sums.EndOfEpoch = _nothing_changes


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
    memory: what it remembers between steps, initially; or a function from the number of
      classes to that. `terms` and the inner problem find it in `batch['memory']`.
    observe: (memory, terms, batch) -> memory; runs before `weight_gradient`. Neither sees
      gradients.
    report: (weights, memory, terms) -> scalars worth logging beside the terms.
    group: networks that are trained together, each on its own particle: 'teachers' beside
      the student, named in `config.online`; 'students', which are all there is; or ''
      for the student alone. With a group, `terms` is given `Networks` and `Attacked`.
    students: how many, for a group of students.
    attacks_student: make adversarial images of the student beside a group, too.
    check_group: (number of members) -> None, raising `InputError` for one that the
      method cannot use.
    attacks_group: make adversarial images of the members of a group. Without it the group
      are teachers that learn: `terms` is given the student's images alone, and the inner
      problem may ask for each member by its name, in evaluation mode.
    counts_withstood: let `batch['withstood']` [B] be the number of gradients of the attack
      at whose points the student was right.
    asks_average: let the moving average of the student answer as the teacher 'average'.
    sums: number of classes -> zeros [classes, ...] by name: what is added up for each class
      over an epoch. `terms` then returns a third thing, by name the values [B, ...].
    end_of_epoch: (memory, sums, images of each class [classes], batch of the new epoch) ->
      memory; runs before the first step of an epoch. A class may have had no image.
  """

  __slots__ = ()

  def __new__(cls, *arguments, **named):
    made = super().__new__(cls, *arguments, **named)
    return made._replace(terms=at_the_door(made.terms, 2, lambda: made.teachers))

  def init(
    self, optimizer: optax.GradientTransformation | None = None, classes: int = 0
  ) -> MethodState:
    """The state of the method before the first update.

    Args:
      optimizer: moves its weights; None is `optax.sgd(weight_rate)`.
      classes: how many there are, for a method that keeps something for each.

    Raises:
      InputError: the method needs to know the number of classes.
    """
    if (callable(self.memory) or self.sums) and classes < 1:
      raise InputError(
        'the method keeps something for every class, but the number of classes is not '
        'given; give it: classes=10'
      )
    # Strongly typed: a weak type would become strong after a step and compile it again.
    weights = jax.tree.map(lambda w: jnp.asarray(w, jnp.result_type(float)), self.weights)
    opt = (optimizer or optax.sgd(self.weight_rate)).init(weights)
    memory = self.memory(classes) if callable(self.memory) else self.memory
    if self.sums:
      memory = epoch_sums.nothing_seen(memory, self.sums(classes))
    memory = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), memory)
    return MethodState(jnp.zeros((), jnp.int32), weights, opt, memory)

  def begin(self, state: MethodState, batch: Batch) -> tuple[MethodState, Batch]:
    """The state with which a step begins, and the batch with what a method finds in it.

    Called twice it does the same as once.

    Args:
      state: after the step before.
      batch: see `loss`.
    """
    start = {'step': state.step, 'epoch': jnp.zeros((), jnp.int32)}
    ended = dict.fromkeys(('fraction', 'progress', 'rate'), jnp.ones(()))
    batch = {**start, **ended, **batch}
    if not self.sums:
      return state, {**batch, 'memory': state.memory}
    kept = epoch_sums.begun(state.memory, batch, self.end_of_epoch)
    return state._replace(memory=kept), {**batch, 'memory': kept.own}

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
      batch: `image` [B, H, W, C] in [0, 1] and `label` [B]; see `Batch`. Where they are
        not there, `epoch` counts as 0; `fraction`, `progress` and `rate` as 1.
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
    state, batch = self.begin(state, batch)
    found = self.terms(student, stats, teachers, batch, adversarial)
    given: Any = jax.tree.structure(stats)
    terms, stats, *seen = _checked(found, 3 if self.sums else 2)
    own: Any = jax.tree.structure(stats)
    if own != given:
      raise InputError(
        f'terms of the method gives stats of another structure than it was given ({own} for '
        f'{given}); return the stats of the last pass of the student'
      )
    fixed, seen = jax.lax.stop_gradient((terms, seen))
    kept = self.observe(batch['memory'], fixed, batch)
    pull = self.weight_gradient(state.weights, kept, fixed)
    changes, opt = (optimizer or optax.sgd(self.weight_rate)).update(
      pull, state.weights_opt, state.weights
    )
    weights = optax.apply_updates(state.weights, changes)
    memory = kept
    if self.sums:
      memory = epoch_sums.added(state.memory._replace(own=kept), seen[0], batch)
    moved = MethodState(state.step + 1, weights, opt, memory)
    return self.total(terms, weights), Evaluated(moved, stats, terms)

  def own_memory(self, memory: Tree) -> Tree:
    """What the method itself remembers, without what is added up for it."""
    return memory.own if self.sums else memory


def _checked(found: Any, count: int) -> tuple[Any, ...]:
  """What `terms` gave, or what is wrong with it: the commonest mistakes in a new method."""
  third = ', and the values of its sums' if count == 3 else ''
  if (
    not isinstance(found, tuple) or len(found) != count or not isinstance(found[0], dict)
  ):
    raise InputError(
      f'terms of the method gives {_told(found)}; give a tuple of a dictionary of losses and '
      f'the stats after the last pass of the student{third}'
    )
  for name, value in found[0].items():
    if jnp.shape(value) != ():
      raise InputError(
        f'the term {name!r} of the method has shape {jnp.shape(value)}; give one number, such '
        'as methods.base.batch_mean(values, batch) of one number for each image'
      )
  return found


def _told(found: Any) -> str:
  if isinstance(found, tuple):
    return f'a tuple of {", ".join(type(one).__name__ for one in found) or "nothing"}'
  return f'a {type(found).__name__}'


def batch_mean(values: Array, batch: Batch) -> Array:
  """Mean of [B] values over the rows that count, each with its `weight` where it has one."""
  if 'weight' in batch:
    values = values * batch['weight']
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
