"""FFGSM: fast adversarial training (Wong, Rice & Kolter, 2020, arXiv:2001.03994)."""

from jaxrkd.methods.base import Method
from jaxrkd.methods.sat import sat


def ffgsm() -> Method:
  """min CE(S(x'), y) with x' one large step from a uniform start: SAT's loss.

  What makes it fast is `config.attack`: `name=pgd, steps=1, step_size=10/255,
  start=uniform`, in the authors' code with `bn=train`, so that the attack's one forward
  moves the running statistics; AKD's weak teachers attack with `bn=eval`. It can fail
  suddenly (catastrophic overfitting): `config.select.max_drop` stops it then.
  """
  return sat()
