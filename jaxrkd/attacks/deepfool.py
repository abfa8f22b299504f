"""DeepFool: straight over the nearest decision boundary, as if it were a plane."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.attacks.boundary import to_nearest
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.minimum_norm import Best, forgotten
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.stepwise import Points, Stepwise, ask, fools, pick
from jaxrkd.attacks.threat import L2, Linf, Threat, check_threat
from jaxrkd.errors import InputError, in_range, whole_number

Array = jax.Array
# By how much the authors' code goes beyond a boundary, besides the overshoot.
BEYOND = 1e-4


class DeepFoolState(NamedTuple):
  """State of DeepFool, see `stepwise.State` and `minimum_norm.Best`.

  Attributes:
    fooled, found, nearest, distance: see `Best`.
    moved: [B, H, W, C], the sum of the steps, without the overshoot.
    not_finite: see `stepwise.State`.
  """

  fooled: Array
  found: Array
  nearest: Array
  distance: Array
  moved: Array
  not_finite: Array


@built_once
def deepfool(
  threat: Threat, *, steps: int = 50, overshoot: float = 0.02, candidates: int = 9
) -> Stepwise:
  """DeepFool (Moosavi-Dezfooli et al., 2016, 1511.04599, algorithm 2).

  Asks for one gradient per candidate and step. It ends with the first adversarial image,
  which is near, but not the nearest: a quick bound of the distance.

  Args:
    threat: the ball, of L2 or Linf. The search itself is not bound by it.
    steps: at most.
    overshoot: how much longer than the sum of the steps the way is.
    candidates: wrong classes whose boundaries are looked at, the likeliest at each image
      (the authors' code: those of the clean one).

  Raises:
    InputError: an option out of range, or another norm.
  """
  check_threat(threat)
  whole_number(steps, 1, 'attack.steps')
  whole_number(candidates, 1, 'attack.candidates')
  in_range(overshoot, 0, float('inf'), 'attack.overshoot')
  if not isinstance(threat, L2 | Linf):
    raise InputError(
      f'DeepFool is known for L2 and Linf, and the ball is {threat}; take attacks.fab'
    )
  linearise = to_nearest(threat, candidates)

  def begin(points: Points) -> DeepFoolState:
    none = Best.none(points.clean)
    return DeepFoolState(*none, jnp.zeros_like(points.clean), none.fooled)

  def step(
    logits_fn: LogitsFn, points: Points, state: DeepFoolState, i: Array
  ) -> DeepFoolState:
    del i
    clean = points.clean
    reach = lambda moved: jnp.clip(clean + (1 + overshoot) * moved, 0, 1)
    gap, slope, broken = linearise(logits_fn, points, reach(state.moved))
    speed = threat.dual_norm(slope)
    far = jnp.abs(gap).reshape(speed.shape) / jnp.maximum(speed, 1e-12) + BEYOND
    # A network that does not answer to its image has no boundary to go to.
    far = jnp.where(speed > 0, far, 0)
    moved = jnp.clip(clean + state.moved + far * threat.steepest(slope), 0, 1) - clean
    # It rests where it has crossed the boundary.
    searching = jnp.isinf(state.distance)
    moved = pick(searching, moved, state.moved)
    images = reach(moved)
    wrong = fools(ask(logits_fn, images, points.key), points.label)
    best = Best.of(state).after(threat, clean, images, wrong & searching)
    return DeepFoolState(*best, moved, state.not_finite | (broken & searching))

  return Stepwise(begin, step, steps, 1, 2, False, forgotten, threat, minimum_norm=True)
