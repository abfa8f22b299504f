"""Attacks that must reach a certain class, and not any wrong one."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn, Objective
from jaxrkd.attacks.pgd import pgd_search
from jaxrkd.attacks.starts import Start
from jaxrkd.attacks.stepwise import Stepwise, one_step, ranked_targets
from jaxrkd.attacks.threat import Threat
from jaxrkd.errors import InputError, nearest

Array = jax.Array
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


def towards(aim: Aim):
  """The objective -CE(S(x'), target): (logits_fn, labels, clean images) -> objective.

  An image of the target class has none, and only leaves its class.
  """

  def objective(logits_fn: LogitsFn, labels: Array, clean: Array) -> Objective:
    ranked = ranked_targets(jax.lax.stop_gradient(logits_fn(clean)), labels)
    target = aim.classes(ranked, labels)

    def values(images: Array) -> Array:
      logits = logits_fn(images)
      reached = -losses.cross_entropy(logits, jnp.maximum(target, 0))
      return jnp.where(target < 0, losses.cross_entropy(logits, labels), reached)

    return values

  return objective


@built_once
def targeted_pgd(
  threat: Threat,
  *,
  target: str | int = 'least_likely',
  steps: int = 20,
  step_size: float | None = None,
  start: str | Start = 'uniform',
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD towards a class (Kurakin et al., 2017, 1611.01236, the least likely one).

  An image that leaves its class for any other counts as broken, as everywhere; how many
  are taken for the target is `Verdicts.reached_target`.

  Args:
    threat: see `pgd.pgd_search`.
    target: see `Aim`.
    steps: see `pgd.pgd_search`.
    step_size: see `pgd.pgd_search`; None is a quarter of the radius.
    start: see `pgd.pgd_search`.
    restarts: see `pgd.pgd`.

  Raises:
    InputError: as `pgd.pgd_search`, or another target.
  """
  aim = Aim(target)
  search = pgd_search(threat, steps=steps, step_size=step_size, start=start)
  attack = Attack(search, towards(aim), aim)
  return attack if restarts == 1 else one_step(attack, restarts)
