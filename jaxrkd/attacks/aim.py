"""The class that a targeted attack wants an image to be taken for."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxrkd.errors import InputError, nearest

AIMS = ('least_likely', 'most_likely', 'next')


@dataclasses.dataclass(frozen=True)
class Aim:
  """The class that an image is to be taken for.

  Args:
    which: 'least_likely' and 'most_likely' of the wrong classes on the clean image, 'next'
      after the true one, or the number of a class.

  Raises:
    InputError: none of these.
  """

  which: str | int

  def __post_init__(self):
    which = self.which
    if isinstance(which, str) and which.isdigit():
      object.__setattr__(self, 'which', int(which))
    elif which not in AIMS and not (isinstance(which, int) and which >= 0):
      raise InputError(
        f'attack.target is {which!r}{nearest(str(which), AIMS)} (allowed: '
        f'{", ".join(AIMS)}, or the number of a class)'
      )

  def classes(self, ranked: Any, labels: Any) -> Any:
    """The class that each image is to be taken for, [B]; -1 for images of that class.

    Args:
      ranked: [B, classes - 1], see `stepwise.ranked_targets`.
      labels: [B].

    Raises:
      InputError: the number of no class.
    """
    count = ranked.shape[1] + 1
    if self.which == 'least_likely':
      return ranked[:, -1]
    if self.which == 'most_likely':
      return ranked[:, 0]
    if self.which == 'next':
      return (labels + 1) % count
    if int(self.which) >= count:
      raise InputError(
        f'attack.target is class {self.which}, but there are {count} classes, counted from 0'
      )
    return jnp.where(labels == int(self.which), -1, int(self.which))
