"""Projected gradient descent: the search, and the named evaluations that use it."""

import jax

from jaxrkd.attacks.base import Attack, Carry, CarryObjective, Climbed, Search
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.repeat import repeat
from jaxrkd.attacks.slopes import nowhere, slopes
from jaxrkd.attacks.starts import STARTS, Start
from jaxrkd.attacks.step_size import PGD, TRADES, check_budget, step_length
from jaxrkd.attacks.stepwise import Stepwise, one_step
from jaxrkd.attacks.threat import Threat, ascend, check_threat
from jaxrkd.errors import choose, whole_number

Array = jax.Array


@built_once
def pgd_search(
  threat: Threat,
  *,
  steps: int = 10,
  step_size: float | None = None,
  start: str | Start = 'uniform',
) -> Search:
  """Steepest ascent with projection after each step (Madry et al., 2018, 1706.06083).

  Args:
    threat: where the images may move.
    steps: gradient evaluations.
    step_size: length of one step in [0, 1] pixels and the norm of `threat`; None is a
      quarter of its radius, Madry's 2/255 at 8/255.
    start: a name in `STARTS` or a function (threat, keys, clean) -> images.

  Raises:
    InputError: no threat set, an unknown start, no step, a step size outside [0, 1], or
      steps that cannot reach the border of the ball.
  """
  return _pgd_search(threat, steps, step_size, start, PGD)


def _pgd_search(
  threat: Threat,
  steps: int,
  step_size: float | None,
  start: str | Start,
  at_eight: float,
) -> Search:
  check_threat(threat)
  whole_number(steps, 1, 'attack.steps')
  size = step_length(step_size, threat.eps, at_eight)
  check_budget(steps, steps * size, threat.eps)
  first = choose(STARTS, start, 'start') if isinstance(start, str) else start

  def climb(keys: Array, objective: CarryObjective, clean: Array, carry: Carry):
    def step(state):
      images, broken, carry = state
      gradient, now, carry = slopes(objective, images, carry)
      return ascend(threat, images, clean, gradient, size), broken | now, carry

    begin = first(threat, keys, clean)
    images, broken, carry = repeat(steps, step, (begin, nowhere(clean), carry))
    return Climbed(images, carry, broken)

  return Search(climb, queries=steps, threat=threat)


@built_once
def pgd(
  threat: Threat,
  *,
  steps: int = 20,
  step_size: float | None = None,
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


@built_once
def pgd_sat(
  threat: Threat,
  *,
  steps: int = 20,
  step_size: float | None = None,
  start: str | Start = 'uniform',
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD as the adversarial-training literature evaluates it: 20 steps of 2/255 at 8/255.

  The step is Madry's, a quarter of the radius; MTARD, Table 2, "PGD_sat". Arguments as `pgd`.
  """
  return pgd(threat, steps=steps, step_size=step_size, start=start, restarts=restarts)


@built_once
def pgd_trades(
  threat: Threat,
  *,
  steps: int = 20,
  step_size: float | None = None,
  start: str | Start = 'uniform',
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD as TRADES evaluates it: 20 steps of 0.003 at 8/255 (Zhang et al., 1901.08573).

  At other radii and in other norms the step is the same share of the radius. MTARD's text
  gives 2/255 here, its code 0.003; the code is the default. Arguments as `pgd`.

  Args:
    threat: see `pgd_search`.
    step_size: length of a step in [0, 1] pixels; None is 0.003 at 8/255, and the same share
      of other radii.
  """
  attack = Attack(_pgd_search(threat, steps, step_size, start, TRADES))
  return attack if restarts == 1 else one_step(attack, restarts)
