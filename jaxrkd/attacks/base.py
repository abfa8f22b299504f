"""The two types of the attack room: `Search` climbs an objective, `Attack` fools labels."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.attacks import doors
from jaxrkd.attacks.aim import Aim
from jaxrkd.attacks.built_once import is_fixed
from jaxrkd.attacks.objectives import (
  LogitsFn,
  Objective,
  check_values,
  cross_entropy,
  of_images,
)
from jaxrkd.attacks.threat import Threat
from jaxrkd.errors import InputError
from jaxrkd.particles import merge, part

Array = jax.Array
Carry = Any
# (images, carry) -> (values [B], carry): an objective with a memory, such as the running
# statistics of a network attacked in training mode.
CarryObjective = Callable[[Array, Carry], tuple[Array, Carry]]


def example_keys(key: Array, index: Array) -> Array:
  """One key per image, from its index in the data set.

  An image's random numbers then do not depend on its batch, place or device.

  Args:
    key: typed key, scalar.
    index: [B] integers.
  """
  return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


def particle_keys(keys: Array, count: int) -> Array:
  """One key per particle and image, [count, B]; a single particle has the image's own."""
  if count == 1:
    return keys[None]
  return jax.vmap(lambda i: jax.vmap(lambda k: jax.random.fold_in(k, i))(keys))(
    jnp.arange(count)
  )


class Climbed(NamedTuple):
  """What a search ends with.

  Attributes:
    images: [B, H, W, C], or with particles [n, B, H, W, C].
    carry: the objective's memory.
    not_finite: [B] or [n, B], where slopes had entries that are no numbers, which were
      stepped over; see `slopes.slopes`.
  """

  images: Array
  carry: Carry
  not_finite: Array


def climbed(found: Any, keys: Array) -> Climbed:
  """What a climb returned; one that tells of no slopes returns images and carry alone."""
  if isinstance(found, Climbed):
    return found
  images, carry = found
  return Climbed(images, carry, jnp.zeros(keys.shape, bool))


@dataclasses.dataclass(frozen=True)
class Search:
  """Raises an objective inside a threat set.

  Attributes:
    climb: (keys [B], objective with carry, clean images, carry) -> `Climbed`.
    climb_together: (keys [B], objective with carry on [n, B, H, W, C], clean images
      [B, H, W, C], n, carry) -> `Climbed` with n particles per image, for a search whose
      particles know of each other; None lets each climb by itself.
    queries: evaluations of the objective for an image in a call; 0 where unknown.
    threat: where images move; None where it is not known.
  """

  climb: Callable[[Array, CarryObjective, Array, Carry], Climbed]
  climb_together: Callable[[Array, CarryObjective, Array, int, Carry], Climbed] | None = (
    None
  )
  queries: int = 0
  threat: Threat | None = None

  def __call__(self, key: Array, objective: Objective, images: Array) -> Array:
    """Returns adversarial images, shaped as `images` and detached from the graph.

    Args:
      key: a key, or [B] keys, one per image (see `example_keys`).
      objective: images -> [B], to be raised.
      images: [B, H, W, C] in [0, 1].

    Raises:
      InputError: images outside [0, 1], or something else in the place of an argument.
    """
    key, images = doors.search_arguments(key, objective, images)
    return self.watched(key, objective, images)[0]

  def watched(
    self, key: Array, objective: Objective, images: Array
  ) -> tuple[Array, Array]:
    """As a call; also where slopes were no numbers, [B]."""
    keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
    alone = lambda x, carry: (objective(x), carry)
    found = climbed(self.climb(keys, alone, images, ()), keys)
    return jax.lax.stop_gradient(found.images), found.not_finite

  def with_carry(
    self, key: Array, objective: CarryObjective, images: Array, carry: Carry
  ) -> tuple[Array, Carry]:
    """As a call, for an objective that hands a value from one evaluation to the next."""
    keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
    found = climbed(self.climb(keys, objective, images, carry), keys)
    return jax.lax.stop_gradient(found.images), found.carry

  def alone(self) -> 'Search':
    """The same search with one particle for each image."""
    together = self.climb_together
    if together is None:
      return self

    def climb(keys: Array, objective: CarryObjective, clean: Array, carry: Carry):
      def single(images: Array, carry: Carry):
        values, carry = objective(images[0], carry)
        return values[None], carry

      found = climbed(together(keys, single, clean, 1, carry), keys[None])
      return Climbed(found.images[0], found.carry, found.not_finite[0])

    return Search(climb, threat=self.threat)

  def together(
    self, key: Array, objective: Objective, images: Array, count: int
  ) -> Array:
    """Returns `count` adversarial images of each image, [count, B, H, W, C].

    Args:
      key: as in a call.
      objective: [count, B, H, W, C] -> [count, B]; see `objectives.one_each` and
        `objectives.all_alike`.
      images: [B, H, W, C] in [0, 1].
      count: particles per image.
    """
    key, images = doors.search_arguments(key, objective, images, count)
    found, _ = self.together_with_carry(
      key, lambda x, carry: (objective(x), carry), images, count, ()
    )
    return found

  def together_with_carry(
    self, key: Array, objective: CarryObjective, images: Array, count: int, carry: Carry
  ) -> tuple[Array, Carry]:
    """`together` for an objective with a memory."""
    keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
    if self.climb_together is not None:
      found = climbed(self.climb_together(keys, objective, images, count, carry), keys)
      return jax.lax.stop_gradient(found.images), found.carry

    def apart(merged: Array, carry: Carry):
      values, carry = objective(part(merged, count), carry)
      return merge(values), carry

    clean = merge(jnp.broadcast_to(images, (count, *images.shape)))
    many = merge(particle_keys(keys, count))
    found = climbed(self.climb(many, apart, clean, carry), many)
    return jax.lax.stop_gradient(part(found.images, count)), found.carry


@dataclasses.dataclass(frozen=True, eq=False)
class Attack:
  """A search with an objective on the true label: what evaluations name and count.

  Attacks of the same search and an objective of jaxrkd's are equal; one with an objective
  of one's own is equal to itself alone, since what that closes over may change.

  Attributes:
    search: how images move.
    objective: (logits_fn, labels) -> objective, or (logits_fn, labels, clean images) ->
      objective; see `objectives.of_images`.
    aim: the class that images are to be taken for (`aim.Aim`); None for any wrong
      one.
  """

  search: Search
  objective: Callable[..., Objective] = cross_entropy
  aim: Aim | None = None

  def __post_init__(self):
    if not isinstance(self.search, Search):
      raise InputError(
        f'the search of an attack is {doors.told(self.search)}; give one that is built, such '
        'as attacks.pgd_search(attacks.Linf(8 / 255))'
      )
    if not callable(self.objective):
      raise InputError(
        f'the objective of an attack is {doors.told(self.objective)}; give a function '
        '(logits_fn, labels) -> (images -> [B])'
      )
    if self.aim is not None and not hasattr(self.aim, 'classes'):
      raise InputError(
        f'the aim of an attack is {doors.told(self.aim)}; give attacks.Aim("next"), or an '
        'object with classes(ranked, labels, possible)'
      )

  def __eq__(self, other: object) -> bool:
    if self is other or not isinstance(other, Attack):
      return self is other
    same = (self.search, self.objective, self.aim)
    return is_fixed(self.objective) and same == (
      other.search,
      other.objective,
      other.aim,
    )

  def __hash__(self) -> int:
    return hash((self.search, self.aim))

  @property
  def threat(self) -> Threat | None:
    """Where images move; None where it is not known."""
    return self.search.threat

  def __call__(
    self, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> Array:
    """Returns adversarial images, shaped as `images`.

    Args:
      key: a key, or [B] keys, one per image.
      logits_fn: images -> logits [B, classes], in evaluation mode.
      images: [B, H, W, C] in [0, 1].
      labels: [B] integers.

    Raises:
      InputError: images outside [0, 1], labels beyond the classes, a function that gives
        no logits, or something else in the place of an argument.
    """
    key, images, labels = doors.attack_arguments(key, logits_fn, images, labels)
    # They know attacks and how these are run.
    from jaxrkd.attacks import direct

    found = direct.attacked(self, logits_fn, key, images, labels)
    if found is not None:
      return found
    return self.watched(key, logits_fn, images, labels)[0]

  def watched(
    self, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> tuple[Array, Array]:
    """As a call, unchecked; also where slopes were no numbers, [B]."""
    raised = of_images(self.objective, logits_fn, labels, images)
    check_values(raised, images)
    return self.search.watched(key, raised, images)
