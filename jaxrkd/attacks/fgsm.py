"""The fast gradient sign method."""

from jaxrkd.attacks.base import Attack
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.pgd import pgd_search
from jaxrkd.attacks.starts import Start
from jaxrkd.attacks.threat import Threat, check_threat


@built_once
def fgsm(threat: Threat, *, start: str | Start = 'none') -> Attack:
  """clip(x + eps sign(grad CE), 0, 1) (Goodfellow et al., 2015, arXiv:1412.6572).

  Args:
    threat: where the images may move; its eps is the step.
    start: 'none', or 'uniform' as in IAD's evaluation script.
  """
  check_threat(threat)
  return Attack(pgd_search(threat, steps=1, step_size=threat.eps, start=start))
