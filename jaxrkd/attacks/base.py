"""The two types of the attack room: `Search` climbs an objective, `Attack` fools labels."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.attacks.objectives import LogitsFn, Objective, cross_entropy

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


@dataclasses.dataclass(frozen=True)
class Search:
  """Raises an objective inside a threat set.

  Attributes:
    climb: (keys [B], objective with carry, clean images, carry) -> (images, carry).
  """

  climb: Callable[[Array, CarryObjective, Array, Carry], tuple[Array, Carry]]

  def __call__(self, key: Array, objective: Objective, images: Array) -> Array:
    """Returns adversarial images, shaped as `images` and detached from the graph.

    Args:
      key: a typed key, or [B] keys, one per image (see `example_keys`).
      objective: images -> [B], to be raised.
      images: [B, H, W, C] in [0, 1].
    """
    adversarial, _ = self.with_carry(
      key, lambda x, carry: (objective(x), carry), images, ()
    )
    return adversarial

  def with_carry(
    self, key: Array, objective: CarryObjective, images: Array, carry: Carry
  ) -> tuple[Array, Carry]:
    """As a call, for an objective that hands a value from one evaluation to the next."""
    keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
    adversarial, carry = self.climb(keys, objective, images, carry)
    return jax.lax.stop_gradient(adversarial), carry


@dataclasses.dataclass(frozen=True)
class Attack:
  """A search with an objective on the true label: what evaluations name and count.

  Attributes:
    search: how images move.
    objective: (logits_fn, labels) -> objective.
  """

  search: Search
  objective: Callable[[LogitsFn, Array], Objective] = cross_entropy

  def __call__(
    self, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
  ) -> Array:
    """Returns adversarial images, shaped as `images`.

    Args:
      key: a typed key, or [B] keys, one per image.
      logits_fn: images -> logits [B, classes], in evaluation mode.
      images: [B, H, W, C] in [0, 1].
      labels: [B] integers.
    """
    return self.search(key, self.objective(logits_fn, labels), images)
