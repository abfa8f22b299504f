"""Attacks that begin small and grow with the epoch."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd.attacks.base import Search
from jaxrkd.errors import whole_number

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Ramp:
  """A search whose ball and steps grow, in equal steps, until the end of an epoch.

  In epoch e, from 1, they are e / `epochs` of what they are from epoch `epochs` on (IKL and
  GKL, Cui et al., NeurIPS 2024, 2305.13948, by their code).

  Attributes:
    search: share -> search in the ball and with the steps of this share; the share is an
      array in a compiled step, such as
      `lambda share: attacks.pgd_search(attacks.Linf(share * 8 / 255))`.
    epochs: from when on the share is 1.

  Raises:
    InputError: fewer than one epoch.
  """

  search: Callable[[Array | float], Search]
  epochs: int

  def __post_init__(self):
    whole_number(self.epochs, 1, 'attack.ramp')

  @property
  def whole(self) -> Search:
    """The search at its full size."""
    return self.search(1.0)

  def at(self, epoch: Array) -> Search:
    """The search of an epoch, from 0."""
    share = (epoch + 1).astype(jnp.result_type(float)) / self.epochs
    return self.search(jnp.minimum(share, 1))
