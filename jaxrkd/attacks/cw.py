"""CW_inf: the margin loss of Carlini & Wagner climbed by PGD."""

import functools

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import cw_margin
from jaxrkd.attacks.pgd import pgd_search
from jaxrkd.attacks.starts import Start
from jaxrkd.attacks.stepwise import Stepwise, one_step
from jaxrkd.attacks.threat import Threat


@built_once
def cw_inf(
  threat: Threat,
  *,
  steps: int = 30,
  step_size: float | None = None,
  start: str | Start = 'uniform',
  kappa: float = 50.0,
  restarts: int = 1,
) -> Attack | Stepwise:
  """PGD on the margin (Carlini & Wagner, 2017, 1608.04644, as Madry and IAD run it).

  Not the L2 optimiser of the same paper.

  Args:
    threat: where the images may move.
    steps: 30 in MTARD, 20 in MMARD.
    step_size: in [0, 1] pixels; None is a quarter of the radius.
    start: 'uniform', or 'none'.
    kappa: confidence; see `objectives.cw_margin`.
    restarts: see `pgd.pgd`.
  """
  search = pgd_search(threat, steps=steps, step_size=step_size, start=start)
  attack = Attack(search, functools.partial(cw_margin, kappa=kappa))
  return attack if restarts == 1 else one_step(attack, restarts)
