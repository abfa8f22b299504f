"""APGD in L1: sparse steps, and balls that shrink to the wanted one."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.apgd_loss import SlopeFn
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.projections import l1_ball_and_box
from jaxrkd.attacks.starts import Start
from jaxrkd.attacks.stepwise import Points, fools, pick
from jaxrkd.attacks.threat import L1

Array = jax.Array
# A change below this is the rounding of a projection, not a pixel that moved.
NOTHING = 1e-12
# The share of pixels that a step moves at first, and how the count of pixels that the best
# point changes steers it: steady above `STEADY`, and then divided by `SHRINK`, the step too.
SHARE, STEADY, SHRINK, SMALLEST = 0.2, 0.95, 1.5, 10.0


class ApgdL1State(NamedTuple):
  """State of APGD in L1, see `stepwise.State`.

  Attributes:
    fooled, found: as there; before success `found` is the image with the best loss.
    image: the next one to look at.
    best: with the highest loss so far in this ball.
    best_gradient, best_loss: there.
    changed: [B], pixels that `best` changed when it was last counted.
    share: [B], of the pixels that a step moves.
    step_size: [B, 1, 1, 1].
    not_finite: see `stepwise.State`.
  """

  fooled: Array
  found: Array
  image: Array
  best: Array
  best_gradient: Array
  best_loss: Array
  changed: Array
  share: Array
  step_size: Array
  not_finite: Array


class Plan(NamedTuple):
  """What look number i is for, one row for each look.

  Attributes:
    eps: radius of the ball it happens in.
    first: whether it is the first in this ball.
    last: whether it is the last there.
    adapt: whether the step is adapted after it.
    counts: whether success there is success.
  """

  eps: Any
  first: Any
  last: Any
  adapt: Any
  counts: Any


def make_plan(eps: float, steps: int, large_eps: bool) -> Plan:
  """The looks of one run: one stage, or three in balls of 3, 2 and 1 times eps."""
  stages = [(1, steps)]
  if large_eps:
    part = min(math.ceil(0.3 * steps), (steps - 1) // 2)
    stages = [(3, part), (2, part), (1, steps - 2 * part)]
  rows = []
  for factor, count in stages:
    every = max(int(0.04 * count), 1)
    for look in range(count + 1):
      adapt = look > 0 and look % every == 0
      rows.append((factor * eps, look == 0, look == count, adapt, factor == 1))
  return Plan(*(np.array(column) for column in zip(*rows)))


def l1_steps(
  threat: L1, asked: SlopeFn, steps: int, large_eps: bool, first: Start
) -> tuple[Callable, Callable, int]:
  """(begin, step, number of steps) of APGD in L1, for `Stepwise`; see `apgd.apgd`."""
  plan = make_plan(threat.eps, steps, large_eps)
  largest = threat.times(float(plan.eps[0]) / threat.eps if threat.eps else 1.0)

  def spread(moved: Array) -> Array:
    return jnp.sum(jnp.abs(moved) > NOTHING, axis=(1, 2, 3)).astype(moved.dtype)

  def begin(points: Points) -> ApgdL1State:
    image = first(largest, points.run_key(), points.clean)
    zero = jnp.zeros(points.label.shape, image.dtype)
    changed = zero + image[0].size
    share = zero + SHARE
    if large_eps:
      changed = spread(image - points.clean)
      share = changed / image[0].size / SHRINK
    size = jnp.full((len(zero), 1, 1, 1), largest.eps, image.dtype)
    low, flat, no = zero - jnp.inf, jnp.zeros_like(image), zero > 0
    return ApgdL1State(no, image, image, image, flat, low, changed, share, size, no)

  def step(
    logits_fn: LogitsFn, points: Points, state: ApgdL1State, i: Array
  ) -> ApgdL1State:
    here = Plan(*(jnp.asarray(column)[i] for column in plan))
    pixels = state.image[0].size
    seen = asked(logits_fn, points, state.image, i)
    better = here.first | (seen.values > state.best_loss)
    best = pick(better, state.image, state.best)
    best_gradient = pick(better, seen.gradient, state.best_gradient)
    best_loss = pick(better, seen.values, state.best_loss)
    wrong = here.counts & fools(seen.logits, points.label)

    # As sparse as the best point; where that grew sparser, back to it with a full step.
    wide = here.eps.astype(state.image.dtype)[:, None, None, None]
    now = spread(best - points.clean)
    sparser = now / state.changed < STEADY
    adapt = here.adapt
    full = jnp.where(sparser[:, None, None, None], wide, state.step_size / SHRINK)
    size = pick(adapt, jnp.clip(full, wide / SMALLEST, wide), state.step_size)
    share = pick(adapt, now / pixels / SHRINK, state.share)
    changed = pick(adapt, now, state.changed)
    back = adapt & sparser
    image = pick(back, best, state.image)
    gradient = pick(back, best_gradient, seen.gradient)

    way = _steepest_share(gradient, share)
    moved = image + size * way - points.clean
    # The next ball begins at the best point of this one.
    smaller = jnp.asarray(np.append(plan.eps[1:], plan.eps[-1]))[i]
    smaller = smaller.astype(image.dtype)[:, None, None, None]
    moved = pick(here.last, best - points.clean, moved)
    moved = l1_ball_and_box(moved, points.clean, smaller)
    fresh = spread(moved)
    return ApgdL1State(
      fooled=wrong,
      found=pick(wrong, state.image, pick(here.counts, best, points.clean)),
      image=points.clean + moved,
      best=best,
      best_gradient=best_gradient,
      best_loss=best_loss,
      changed=pick(here.last, fresh, changed),
      share=pick(here.last, fresh / pixels / SHRINK, share),
      step_size=pick(here.last, smaller, size),
      not_finite=state.not_finite | seen.not_finite,
    )

  return begin, step, len(plan.eps)


def _steepest_share(gradient: Array, share: Array) -> Array:
  """The sign of the largest `share` of the gradient's entries, of unit L1 norm."""
  flat = jnp.abs(gradient).reshape(len(gradient), -1)
  pixels = flat.shape[1]
  place = jnp.clip(jnp.floor((1 - share) * pixels), 0, pixels - 1).astype(jnp.int32)
  threshold = jnp.take_along_axis(jnp.sort(flat, axis=1), place[:, None], axis=1)
  steep = jnp.abs(gradient) >= threshold[:, :, None, None]
  way = jnp.sign(gradient) * steep.astype(gradient.dtype)
  return way / (jnp.sum(jnp.abs(way), axis=(1, 2, 3), keepdims=True) + 1e-10)
