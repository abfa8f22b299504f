"""Projected gradient descent: the search, and the named evaluations that use it."""

import jax

from jaxrkd.attacks.base import Attack, Carry, CarryObjective, Search
from jaxrkd.attacks.loop import repeat
from jaxrkd.attacks.starts import STARTS, Start
from jaxrkd.attacks.stepwise import Stepwise, one_step
from jaxrkd.attacks.threat import Threat, check_step_size
from jaxrkd.errors import InputError, choose

Array = jax.Array


def pgd_search(
  threat: Threat,
  *,
  steps: int = 10,
  step_size: float = 2 / 255,
  start: str | Start = 'uniform',
) -> Search:
  """Steepest ascent with projection after each step (Madry et al., 2018, 1706.06083).

  Args:
    threat: where the images may move.
    steps: gradient evaluations; 0 returns the start, projected.
    step_size: length of one step in [0, 1] pixels and the norm of `threat`.
    start: a name in `STARTS` or a function (threat, keys, clean) -> images.

  Raises:
    InputError: an unknown start, negative steps, a step size outside [0, 1].
  """
  if steps < 0:
    raise InputError(f'attack steps is {steps}; it must be 0 or more')
  check_step_size(step_size, threat)
  first = choose(STARTS, start, 'start') if isinstance(start, str) else start

  def climb(keys: Array, objective: CarryObjective, clean: Array, carry: Carry):
    def total(images, carry):
      values, carry = objective(images, carry)
      return values.sum(), carry

    def step(state):
      images, carry = state
      gradient, carry = jax.grad(total, has_aux=True)(images, carry)
      images = images + step_size * threat.steepest(gradient)
      return threat.project(images, clean), carry

    begin = first(threat, keys, clean)
    if steps == 0:
      return threat.project(begin, clean), carry
    return repeat(steps, step, (begin, carry))

  return Search(climb, queries=steps)


def pgd(
  threat: Threat,
  *,
  steps: int = 20,
  step_size: float = 2 / 255,
  start: str | Start = 'uniform',
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD on the cross-entropy, any number of steps.

  Args:
    threat: see `pgd_search`.
    steps: see `pgd_search`.
    step_size: see `pgd_search`.
    start: see `pgd_search`.
    restarts: runs from different starts; an image must withstand all of them.

  Raises:
    InputError: as `pgd_search`, or no run at all.
  """
  search = pgd_search(threat, steps=steps, step_size=step_size, start=start)
  return Attack(search) if restarts == 1 else one_step(Attack(search), restarts)


def pgd_sat(
  threat: Threat,
  *,
  steps: int = 20,
  step_size: float = 2 / 255,
  start: str | Start = 'uniform',
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD as the adversarial-training literature evaluates it: 20 steps of 2/255.

  The step is Madry's 2/255; MTARD, Table 2, "PGD_sat".
  """
  return pgd(threat, steps=steps, step_size=step_size, start=start, restarts=restarts)


def pgd_trades(
  threat: Threat,
  *,
  steps: int = 20,
  step_size: float = 0.003,
  start: str | Start = 'uniform',
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD as TRADES evaluates it: 20 steps of 0.003 (Zhang et al., 2019, 1901.08573).

  MTARD's text gives 2/255 here, its code 0.003; the code is the default.
  """
  return pgd(threat, steps=steps, step_size=step_size, start=start, restarts=restarts)
