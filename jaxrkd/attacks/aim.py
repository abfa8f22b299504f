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
    if isinstance(which, str) and which.isascii() and which.isdigit():
      object.__setattr__(self, 'which', int(which))
      return
    whole = hasattr(which, '__index__') and not isinstance(which, bool)
    if whole and int(which) >= 0:
      object.__setattr__(self, 'which', int(which))
    elif not isinstance(which, str) or which not in AIMS:
      raise InputError(
        f'attack.target is {which!r}{nearest(str(which), AIMS)} (allowed: '
        f'{", ".join(AIMS)}, or the number of a class)'
      )

  def classes(self, ranked: Any, labels: Any, possible: Any) -> Any:
    """The class that each image is to be taken for, [B].

    -1 where there is none: for images of the class itself, and for a masked class, which no
    image can be taken for.

    Args:
      ranked: [B, classes - 1], see `stepwise.ranked_targets`.
      labels: [B].
      possible: [B], how many of the ranked classes are not masked; these come first.

    Raises:
      InputError: the number of no class.
    """
    count = ranked.shape[1] + 1
    rows, last = jnp.arange(len(labels)), jnp.maximum(possible - 1, 0)
    if self.which == 'least_likely':
      chosen = ranked[rows, last]
    elif self.which == 'most_likely':
      chosen = ranked[:, 0]
    elif self.which == 'next':
      chosen = (labels + 1) % count
    elif int(self.which) < count:
      chosen = jnp.full(len(labels), int(self.which))
    else:
      raise InputError(
        f'attack.target is class {self.which}, but there are {count} classes, counted from 0'
      )
    there = (ranked == chosen[:, None]) & (
      jnp.arange(count - 1)[None] < possible[:, None]
    )
    return jnp.where(there.any(-1), chosen, -1)
