"""Projected Adam: the adversary of DeepMind's adversarial training."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrkd.attacks.base import Carry, CarryObjective, Climbed, Search
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.repeat import repeat
from jaxrkd.attacks.slopes import nowhere, slopes
from jaxrkd.attacks.starts import STARTS, Start
from jaxrkd.attacks.step_size import ADAM, check_budget, step_length
from jaxrkd.attacks.threat import Linf, Threat, check_threat
from jaxrkd.errors import choose, whole_number

Array = jax.Array


@built_once
def adam_search(
  threat: Threat,
  *,
  steps: int = 10,
  step_size: float | None = None,
  drop_after: int = 5,
  drop_factor: float = 0.1,
  start: str | Start = 'uniform',
) -> Search:
  """Adam on the pixels with projection after each step (Gowal et al., 2020, 2010.03593).

  Args:
    threat: where the images may move.
    steps: gradient evaluations.
    step_size: Adam's rate at first, in [0, 1] pixels; larger than the ball on purpose.
      None is 0.1 in the Linf ball of 8/255, and in other balls a rate that moves an image
      as many radii.
    drop_after: steps after which the rate is multiplied by `drop_factor`.
    drop_factor: see `drop_after`.
    start: a name in `STARTS` or a function (threat, keys, clean) -> images.

  Raises:
    InputError: no threat set, an unknown start, fewer than 1 step, a step size outside
      [0, 1], or steps that cannot reach the border of the ball.
  """
  check_threat(threat)
  whole_number(steps, 1, 'attack.steps')
  length = step_length(step_size, threat.eps, ADAM)
  first = choose(STARTS, start, 'start') if isinstance(start, str) else start
  factor = optax.piecewise_constant_schedule(1.0, {drop_after: drop_factor})
  adam = optax.chain(
    optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-9), optax.scale_by_schedule(factor)
  )
  many = sum(drop_factor if done >= drop_after else 1.0 for done in range(steps))

  def rate(shape: tuple[int, ...]) -> Any:
    """Of each pixel: Adam moves all of them by about as much."""
    with jax.ensure_compile_time_eval():
      whole = float(threat.norm(jnp.ones((1, *shape))).item())
    size = length / whole if step_size is None else length
    check_budget(steps, many * size * whole, threat.eps)
    return size

  if isinstance(threat, Linf):
    rate((1, 1, 1))  # whatever the images are

  def climb(keys: Array, objective: CarryObjective, clean: Array, carry: Carry):
    size = rate(clean.shape[1:])

    def step(state):
      images, memory, broken, carry = state
      gradient, now, carry = slopes(objective, images, carry)
      # optax multiplies its count of steps with floats.
      with jax.numpy_dtype_promotion('standard'):
        change, memory = adam.update(gradient, memory, images)
      images = threat.project(images + size * change, clean)
      return images, memory, broken | now, carry

    begin = threat.project(first(threat, keys, clean), clean)
    state = repeat(steps, step, (begin, adam.init(begin), nowhere(clean), carry))
    images, _, broken, carry = state
    return Climbed(images, carry, broken)

  return Search(climb, queries=steps, threat=threat)
