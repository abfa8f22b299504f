"""Projected Adam: the adversary of DeepMind's adversarial training."""

import jax
import optax

from jaxrkd.attacks.base import Carry, CarryObjective, Search
from jaxrkd.attacks.loop import repeat
from jaxrkd.attacks.starts import STARTS, Start
from jaxrkd.attacks.threat import Threat
from jaxrkd.errors import InputError, choose

Array = jax.Array


def adam_search(
  threat: Threat,
  *,
  steps: int = 10,
  step_size: float = 0.1,
  drop_after: int = 5,
  drop_factor: float = 0.1,
  start: str | Start = 'uniform',
) -> Search:
  """Adam on the pixels with projection after each step (Gowal et al., 2020, 2010.03593).

  Args:
    threat: where the images may move.
    steps: gradient evaluations.
    step_size: Adam's rate at first, in [0, 1] pixels; larger than the ball on purpose.
    drop_after: steps after which the rate is multiplied by `drop_factor`.
    drop_factor: see `drop_after`.
    start: a name in `STARTS` or a function (threat, keys, clean) -> images.

  Raises:
    InputError: an unknown start, fewer than 1 step, a step size outside [0, 1].
  """
  if steps < 1:
    raise InputError(f'attack steps is {steps}; it must be at least 1')
  if not 0 <= step_size <= 1:
    raise InputError(f'attack step_size is {step_size}, but pixels are in [0, 1]')
  first = choose(STARTS, start, 'start') if isinstance(start, str) else start
  rate = optax.piecewise_constant_schedule(step_size, {drop_after: drop_factor})
  adam = optax.chain(
    optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-9), optax.scale_by_schedule(rate)
  )

  def climb(keys: Array, objective: CarryObjective, clean: Array, carry: Carry):
    def total(images, carry):
      values, carry = objective(images, carry)
      return values.sum(), carry

    def step(state):
      images, memory, carry = state
      gradient, carry = jax.grad(total, has_aux=True)(images, carry)
      change, memory = adam.update(gradient, memory, images)
      return threat.project(images + change, clean), memory, carry

    begin = threat.project(first(threat, keys, clean), clean)
    images, _, carry = repeat(steps, step, (begin, adam.init(begin), carry))
    return images, carry

  return Search(climb, queries=steps)
