"""Attacks that must reach a certain class, and not any wrong one."""

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.attacks.aim import Aim
from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn, Objective
from jaxrkd.attacks.pgd import pgd_search
from jaxrkd.attacks.starts import Start
from jaxrkd.attacks.stepwise import Stepwise, one_step, possible, ranked_targets
from jaxrkd.attacks.threat import Threat

Array = jax.Array


def towards(aim: Aim):
  """The objective -CE(S(x'), target): (logits_fn, labels, clean images) -> objective.

  An image of the target class has none, and only leaves its class.
  """

  def objective(logits_fn: LogitsFn, labels: Array, clean: Array) -> Objective:
    asked = jax.lax.stop_gradient(logits_fn(clean))
    target = aim.classes(ranked_targets(asked, labels), labels, possible(asked, labels))

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
