"""FAB: the nearest adversarial image, by projections onto linearised decision boundaries."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.attacks import doors
from jaxrkd.attacks.base import example_keys
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn, unmasked
from jaxrkd.attacks.projections import (
  Projection,
  hyperplane_l1,
  hyperplane_l2,
  hyperplane_linf,
)
from jaxrkd.attacks.slopes import finite
from jaxrkd.attacks.stepwise import Points, Stepwise, ask, fools, pick, ranked_targets
from jaxrkd.attacks.threat import L1, L2, Linf, Threat, check_threat
from jaxrkd.errors import InputError, in_range, whole_number

Array = jax.Array
PROJECTIONS: dict[type, Projection] = {
  Linf: hyperplane_linf,
  L2: hyperplane_l2,
  L1: hyperplane_l1,
}


class FabState(NamedTuple):
  """State of FAB, see `stepwise.State`.

  Attributes:
    fooled, found: as there; before success `found` is the clean image.
    nearest: the nearest adversarial image so far, in the ball or not.
    distance: [B], how far that is; infinite before there is any.
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


def distances(
  attack: Stepwise, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
) -> tuple[Array, Array]:
  """The nearest adversarial images and how far they are, whatever the radius.

  Args:
    attack: of `fab` or `fab_t`.
    key: a typed key, or [B] keys, one per image.
    logits_fn: images -> logits.
    images: [B, H, W, C] in [0, 1].
    labels: [B] integers.

  Returns:
    [B, H, W, C], the clean image where none was found, and [B], infinite there. Images
    that are wrong without an attack are adversarial at some small distance too.

  Raises:
    InputError: another attack, or arguments that no attack takes.
  """
  if not isinstance(attack, Stepwise) or attack.forget is None:
    raise InputError(
      'distances are found by FAB alone; give attacks.fab or attacks.fab_t'
    )
  key, images, labels = doors.attack_arguments(key, logits_fn, images, labels)
  keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
  logits = ask(logits_fn, images, keys)
  targets = ranked_targets(logits, labels)
  labels = labels.astype(jnp.int32)

  def run(number, carry):
    found, nearest = carry
    target = targets[:, jnp.minimum(number, targets.shape[1] - 1)]
    runs = jnp.full(labels.shape, number, jnp.int32)
    points = Points(keys, images, labels, target, runs)

    def step(i, state):
      return attack.step(logits_fn, points, state, jnp.full(labels.shape, i, jnp.int32))

    state = jax.lax.fori_loop(0, attack.steps, step, attack.begin(points))
    nearer = state.distance < nearest
    return pick(nearer, state.nearest, found), jnp.minimum(state.distance, nearest)

  begin = (images, jnp.full(labels.shape, jnp.inf, images.dtype))
  return jax.lax.fori_loop(0, attack.runs_on(logits.shape[-1]), run, begin)


# (logits_fn, points, images) -> how far a wrong class is ahead [B], its gradient, and
# where these were no numbers [B].
Boundary = Callable[[LogitsFn, Points, Array], tuple[Array, Array, Array]]


def _to_target(logits_fn: LogitsFn, points: Points, images: Array):
  """The boundary to the target class."""

  def total(x):
    logits = unmasked(ask(logits_fn, x, points.key))
    ahead = losses.targeted_margin(logits, points.label, points.target)
    return ahead.sum(), ahead

  slope, ahead = jax.grad(total, has_aux=True)(images)
  w, broken = finite(slope)
  # An answer that is no number has no boundary.
  real = jnp.isfinite(ahead)
  return jnp.where(real, ahead, 0), w, broken | ~real


def _to_nearest(threat: Threat) -> Boundary:
  """The boundary that is nearest in the threat's norm where it is linearised."""

  def nearest(logits_fn: LogitsFn, points: Points, images: Array):
    asked = lambda x: unmasked(ask(logits_fn, x, points.key))
    logits, pull = jax.vjp(asked, images)
    own = jax.nn.one_hot(points.label, logits.shape[-1], dtype=logits.dtype)
    true = jnp.sum(own * logits, axis=-1)

    def compare(best, number):
      other = jax.nn.one_hot(number, logits.shape[-1], dtype=logits.dtype)
      *best, broken = best
      slope, now = finite(pull(other[None] - own)[0])
      gap = logits[:, number] - true
      far = jnp.abs(gap) / (threat.dual_norm(slope).reshape(-1) + 1e-12)
      another = number != points.label
      nearer = (far < best[0]) & another
      picked = map(functools.partial(pick, nearer), (far, gap, slope), best)
      return (*picked, broken | (another & (now | ~jnp.isfinite(gap)))), ()

    zero = jnp.zeros(points.label.shape, logits.dtype)
    begin = (zero + jnp.inf, zero, jnp.zeros_like(images), zero > 0)
    found, _ = jax.lax.scan(compare, begin, jnp.arange(logits.shape[-1]))
    return found[1:]

  return nearest


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

  linearise = _to_target if targeted else _to_nearest(threat)

  def begin(points: Points) -> FabState:
    clean = points.clean
    far = jnp.full(points.label.shape, jnp.inf, clean.dtype)
    draw = lambda key: threat.draw(key, clean.shape[1:], clean.dtype)
    way = jax.vmap(draw)(points.run_key())
    away = jnp.clip(clean + 0.5 * threat.eps * way / threat.norm(way), 0, 1)
    # Targets are the restarts of a targeted attack: each begins at the clean image.
    again = (points.run > 0) & (not targeted)
    return FabState(far < 0, clean, clean, far, pick(again, away, clean), far < 0)

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
    far = threat.norm(moved - clean).reshape(-1)
    nearer = wrong & (far < state.distance)
    distance = pick(nearer, far, state.distance)
    nearest = pick(nearer, moved, state.nearest)
    inside = distance <= threat.eps
    return FabState(
      fooled=inside,
      found=pick(inside, nearest, clean),
      nearest=nearest,
      distance=distance,
      image=pick(wrong, clean + beta * (moved - clean), moved),
      not_finite=state.not_finite | broken,
    )

  def forget(state: FabState, rows: Array) -> FabState:
    # Another image of the ball may still be adversarial, if a farther one.
    far = jnp.full_like(state.distance, jnp.inf)
    return state._replace(
      distance=pick(rows, far, state.distance),
      # Not back to where this one was found, but on.
      image=pick(rows, state.nearest, state.image),
    )

  return Stepwise(begin, step, steps, runs, 2, targeted, forget, threat)
