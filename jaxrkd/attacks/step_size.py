"""How long a step is where nobody says, and whether the steps can cross the ball.

A step that was chosen for one ball is too short in another, and an attack that cannot reach
the border makes a network look strong. So a step is a share of the radius: what the
published settings step at 8/255 is what they step of any ball, in its own norm.
"""

import math
from typing import Any

import jax

from jaxrkd.errors import InputError

# The radius that published steps are made for.
EIGHT = 8 / 255
# Steps at that radius: Madry's; TRADES' (and AT-AKA's); the rate of DeepMind's Adam.
PGD, TRADES, ADAM = 2 / 255, 0.003, 0.1
# A sum of steps and a radius differ by rounding.
SLACK = 1e-6


def step_length(step_size: float | None, eps: Any, at_eight: float = PGD) -> Any:
  """`step_size`, or where it is None the share of the ball that `at_eight` is at 8/255.

  Args:
    step_size: in [0, 1] pixels and the norm of the ball, or None.
    eps: the ball's radius; may be an array that a compiled program is told when it runs.
    at_eight: the attack's published step in the Linf ball of 8/255.

  Raises:
    InputError: a step that was meant in 8-bit levels, or is no number.
  """
  if step_size is None:
    return at_eight * (eps / EIGHT)
  if not isinstance(step_size, jax.core.Tracer):
    _check_number(step_size, eps)
  return step_size


def is_number(value: Any) -> bool:
  """Whether this is one real number, of Python, numpy or JAX."""
  if isinstance(value, bool | str):
    return False
  try:
    float(value)
  except (TypeError, ValueError):
    return False
  return True


def _check_number(step_size: Any, eps: Any) -> None:
  if not is_number(step_size):
    raise InputError(
      f'attack step_size is {step_size!r}; give a number in [0, 1] pixels, or None for the '
      "attack's own share of the radius"
    )
  if not 0 <= step_size < float('inf'):
    raise InputError(
      f'attack step_size is {step_size}; it must be a number of 0 or more, or None for the '
      "attack's own share of the radius"
    )
  if step_size > 1 and (isinstance(eps, jax.core.Tracer) or eps <= 1):
    raise InputError(
      f'attack step_size is {step_size}, but pixels are in [0, 1]: write '
      f'{step_size:g}/255 = {step_size / 255:.5g} if you mean 8-bit levels'
    )


def check_budget(steps: int, path: Any, eps: Any) -> None:
  """Refuses steps that cannot reach the border of the ball from its middle.

  Args:
    steps: how many there are.
    path: their lengths, added up.
    eps: radius of the ball.

  Raises:
    InputError: they cannot.
  """
  if isinstance(path, jax.core.Tracer) or isinstance(eps, jax.core.Tracer):
    return  # known when the compiled program runs
  if path < eps * (1 - SLACK):
    more = f'{math.ceil(steps * eps / path - SLACK)} or more, or ' if path else ''
    raise InputError(
      f'attack steps: {steps} of them move {path:.4g} together, too little to reach the '
      f'border of a ball of eps {eps:.4g}, so that any network would look robust; give '
      f'{more}a step_size of at least {eps / steps:.4g}'
    )
