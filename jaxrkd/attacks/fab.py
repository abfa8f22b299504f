"""FAB: the nearest adversarial image, by projections onto linearised decision boundaries."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.attacks.boundary import to_nearest, to_target
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.minimum_norm import Best, forgotten
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.projections import (
  Projection,
  hyperplane_l1,
  hyperplane_l2,
  hyperplane_linf,
)
from jaxrkd.attacks.stepwise import Points, Stepwise, ask, fools, pick
from jaxrkd.attacks.threat import L1, L2, Linf, Threat, check_threat
from jaxrkd.errors import InputError, in_range, whole_number

Array = jax.Array
PROJECTIONS: dict[type, Projection] = {
  Linf: hyperplane_linf,
  L2: hyperplane_l2,
  L1: hyperplane_l1,
}


class FabState(NamedTuple):
  """State of FAB, see `stepwise.State` and `minimum_norm.Best`.

  Attributes:
    fooled, found, nearest, distance: see `Best`.
    image: where the boundary is linearised next.
    not_finite: see `stepwise.State`.
  """

  fooled: Array
  found: Array
  nearest: Array
  distance: Array
  image: Array
  not_finite: Array


@built_once
def fab(
  threat: Threat,
  *,
  steps: int = 100,
  restarts: int = 1,
  alpha_max: float = 0.1,
  eta: float = 1.05,
  beta: float = 0.9,
) -> Stepwise:
  """Fast Adaptive Boundary attack (Croce & Hein, 2020, 1907.02044).

  Asks for the gradients of all classes in every step; `fab_t` asks for one.

  Args:
    threat: the ball and its norm. The search itself is not bound by it.
    steps: of one run.
    restarts: runs; all but the first begin at a random image, half the radius away.
    alpha_max: largest weight of the projection of the clean image.
    eta: by how much a step overshoots the boundary.
    beta: how far an adversarial image is moved back towards the clean one (1: not at all).

  Raises:
    InputError: an option out of range, or a threat set without FAB's projection.
  """
  return _fab(threat, steps, restarts, alpha_max, eta, beta, targeted=False)


@built_once
def fab_t(
  threat: Threat,
  *,
  steps: int = 100,
  targets: int = 9,
  alpha_max: float = 0.1,
  eta: float = 1.05,
  beta: float = 0.9,
) -> Stepwise:
  """FAB on the boundary to one class after the other; arguments as `fab`.

  Args:
    threat: see `fab`.
    steps: for each target.
    targets: wrong classes, most likely first; at most all of them.
    alpha_max: see `fab`.
    eta: see `fab`.
    beta: see `fab`.
  """
  return _fab(threat, steps, targets, alpha_max, eta, beta, targeted=True)


def _fab(
  threat: Threat,
  steps: int,
  runs: int,
  alpha_max: float,
  eta: float,
  beta: float,
  targeted: bool,
) -> Stepwise:
  check_threat(threat)
  whole_number(steps, 1, 'attack.steps')
  whole_number(runs, 1, 'attack.targets' if targeted else 'attack.restarts')
  in_range(alpha_max, 0, 1, 'attack.alpha_max')
  in_range(eta, 1, float('inf'), 'attack.eta')
  in_range(beta, 0, 1, 'attack.beta')
  if type(threat) not in PROJECTIONS:
    known = ', '.join(kind.__name__ for kind in PROJECTIONS)
    raise InputError(f'FAB has no projection for {threat}; use one of {known}')
  project = jax.vmap(PROJECTIONS[type(threat)])

  def onto(images: Array, w: Array, excess: Array) -> Array:
    flat = lambda a: a.reshape(len(a), -1)
    return project(flat(images), flat(w), excess).reshape(images.shape)

  linearise = to_target if targeted else to_nearest(threat)

  def begin(points: Points) -> FabState:
    clean = points.clean
    none = Best.none(clean)
    draw = lambda key: threat.draw(key, clean.shape[1:], clean.dtype)
    way = jax.vmap(draw)(points.run_key())
    away = jnp.clip(clean + 0.5 * threat.eps * way / threat.norm(way), 0, 1)
    # Targets are the restarts of a targeted attack: each begins at the clean image.
    again = (points.run > 0) & (not targeted)
    return FabState(*none, pick(again, away, clean), none.fooled)

  def step(logits_fn: LogitsFn, points: Points, state: FabState, i: Array) -> FabState:
    del i
    image, clean = state.image, points.clean
    ahead, w, broken = linearise(logits_fn, points, image)
    axes = tuple(range(1, w.ndim))
    to_boundary = onto(image, w, ahead)
    from_clean = onto(clean, w, ahead + jnp.sum(w * (clean - image), axes))
    here, there = (
      jnp.maximum(threat.norm(step), 1e-8) for step in (to_boundary, from_clean)
    )
    alpha = jnp.minimum(here / (here + there), alpha_max)
    moved = (1 - alpha) * (image + eta * to_boundary) + alpha * (clean + eta * from_clean)
    moved = jnp.clip(moved, 0, 1)
    wrong = fools(ask(logits_fn, moved, points.key), points.label)
    best = Best.of(state).after(threat, clean, moved, wrong)
    image = pick(wrong, clean + beta * (moved - clean), moved)
    return FabState(*best, image, state.not_finite | broken)

  def forget(state: FabState, rows: Array) -> FabState:
    # Another image of the ball may still be adversarial, if a farther one; not back to
    # where this one was found, but on.
    image = pick(rows, state.nearest, state.image)
    return forgotten(state, rows)._replace(image=image)

  return Stepwise(
    begin, step, steps, runs, 2, targeted, forget, threat, minimum_norm=True
  )
