"""Nearest points of a hyperplane or an L1 ball inside the box [0, 1]; one row per image.

Each is the root of a piecewise linear function of one number, which Newton's method finds
exactly in a few steps: no sorting, except where the order itself is the solution.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
# (point, w, excess) -> step, all of one image, flat; see `hyperplane_linf`.
Projection = Callable[[Array, Array, Array], Array]
# More than any root was seen to take; a loop needs an end.
MOST_STEPS = 64
# Until floats of either precision lie side by side.
BISECTIONS = 56


def _room(point: Array, direction: Array) -> Array:
  """How far each pixel may move along the sign of `direction` before it leaves [0, 1]."""
  return jnp.maximum(jnp.where(direction > 0, 1 - point, point), 0)


def _raise_to(total: Array, gain: Array, rate: Array, room: Array) -> Array:
  """min(rate t, room) for the t at which it gains `total`; `room` if nothing does.

  sum_i gain_i min(rate_i t, room_i) is concave in t, so that Newton's method from 0 never
  oversteps, and ends on the root once it is on its linear piece.
  """

  def moved(t):
    return jnp.where(rate > 0, jnp.minimum(rate * t, room), 0)

  def step(state):
    t, missing, count = state
    slope = jnp.sum(jnp.where(rate * t < room, gain * rate, 0))
    t = t + missing / jnp.maximum(slope, jnp.finfo(t.dtype).tiny)
    return t, total - jnp.sum(gain * moved(t)), count + 1

  def unfinished(state):
    _, missing, count = state
    return (missing > 4 * jnp.finfo(total.dtype).eps * total) & (count < MOST_STEPS)

  most = jnp.sum(jnp.where(rate > 0, gain * room, 0))
  zero = jnp.zeros((), total.dtype)
  begin = (zero, jnp.where(total < most, total, 0), jnp.int32(0))
  t, _, _ = jax.lax.while_loop(unfinished, step, begin)
  return jnp.where(total < most, moved(t), jnp.where(rate > 0, room, 0))


def hyperplane_linf(point: Array, w: Array, excess: Array) -> Array:
  """The step of least max-norm after which w . v = w . point - excess, inside [0, 1].

  FAB's projection (Croce & Hein, 2020, 1907.02044, equation 6). Where the box does not
  allow it, the step goes to the corner that comes closest.

  Args:
    point: [D] in [0, 1].
    w: [D], normal of the hyperplane; pixels where it is 0 stay.
    excess: scalar, signed.

  Returns:
    [D].
  """
  way = -jnp.sign(excess) * jnp.sign(w)
  size = jnp.abs(w)
  moved = jnp.where(size > 0, 1.0, 0.0).astype(w.dtype)
  return way * _raise_to(jnp.abs(excess), size, moved, _room(point, way))


def _steep(w: Array) -> Array:
  """Sizes of the entries, 0 where they are no more than rounding.

  That is 1e-8 as in the authors' code, and relative where all entries are small: logits of
  another scale have the same boundary.
  """
  size = jnp.abs(w)
  return jnp.where(size > 1e-8 * jnp.minimum(jnp.max(size), 1), size, 0)


def hyperplane_l2(point: Array, w: Array, excess: Array) -> Array:
  """As `hyperplane_linf`, with the least Euclidean norm."""
  way = -jnp.sign(excess) * jnp.sign(w)
  size = _steep(w)
  # In units of the largest entry, so that float32 does not underflow.
  rate = size / jnp.maximum(jnp.max(size), jnp.finfo(w.dtype).tiny)
  return way * _raise_to(jnp.abs(excess), size, rate, _room(point, way))


def hyperplane_l1(point: Array, w: Array, excess: Array) -> Array:
  """As `hyperplane_linf`, with the least sum of changes: the steepest pixels move first."""
  way = -jnp.sign(excess) * jnp.sign(w)
  size = _steep(w)
  order = jnp.argsort(-size)
  gain, room = size[order], _room(point, way)[order]
  before = jnp.cumsum(gain * room) - gain * room
  wanted = (jnp.abs(excess) - before) / jnp.where(gain > 0, gain, 1)
  filled = jnp.where(gain > 0, jnp.clip(wanted, 0, room), 0)
  return way * jnp.zeros_like(w).at[order].set(filled)


def l1_ball_and_box(moved: Array, clean: Array, radius: float | Array) -> Array:
  """The change nearest to `moved` whose sum of sizes is at most `radius`, inside [0, 1].

  min |d - moved|_2 with |d|_1 <= radius and 0 <= clean + d <= 1 (Croce & Hein, 2021,
  2103.01208): d_i = sign(moved_i) min(max(|moved_i| - t, 0), room_i), t = 0 if that fits.
  Pixels that do not move get exactly 0.

  Args:
    moved: [B, H, W, C].
    clean: [B, H, W, C] in [0, 1].
    radius: of the ball, scalar or [B, 1, 1, 1].
  """
  flat = moved.reshape(len(moved), -1)
  radii = jnp.broadcast_to(jnp.asarray(radius, moved.dtype).reshape(-1), len(moved))
  found = jax.vmap(_shrink)(flat, clean.reshape(flat.shape), radii)
  return found.reshape(moved.shape)


def l2_ball_and_box(moved: Array, clean: Array, radius: float | Array) -> Array:
  """The change nearest to `moved` of at most that Euclidean norm, inside [0, 1].

  min |d - moved|_2 with |d|_2 <= radius and 0 <= clean + d <= 1: d_i = clip(c moved_i) with
  the largest c up to 1 that fits. What the box takes from some pixels others may use, unlike
  where the ball comes first and the box then only shortens.

  Args:
    moved: [B, H, W, C].
    clean: [B, H, W, C] in [0, 1].
    radius: of the ball.

  Returns:
    [B, H, W, C].
  """
  return _each(functools.partial(_scaled, most=1.0), moved, clean, radius)


def l2_corner(gradient: Array, clean: Array, radius: float | Array) -> Array:
  """The change that raises a linear function most; arguments as `l2_ball_and_box`."""
  return _each(functools.partial(_scaled, most=jnp.inf), gradient, clean, radius)


def _each(one: Callable[..., Array], moved: Array, clean: Array, radius: Any) -> Array:
  flat = lambda a: a.reshape(len(a), -1)
  found = jax.vmap(one, (0, 0, None))(flat(moved), flat(clean), radius)
  return found.reshape(moved.shape)


def _scaled(moved: Array, clean: Array, radius: Array, most: float) -> Array:
  """clip(c moved) with the largest c up to `most` that fits into ball and box; all [D]."""
  room = _room(clean, moved)
  size = jnp.abs(moved)
  # In units of the largest, so that squares neither vanish nor overflow.
  unit = jnp.maximum(jnp.max(size), jnp.finfo(size.dtype).tiny)
  size = size / unit

  def held(c):
    """How many pixels the box stops, and the scale that fits if just these are."""
    stopped = c * size >= room
    left = radius**2 - jnp.sum(jnp.where(stopped, room**2, 0))
    free = jnp.sum(jnp.where(stopped, 0, size**2))
    fits = jnp.sqrt(jnp.maximum(left, 0) / jnp.maximum(free, 1e-30))
    return jnp.sum(stopped).astype(jnp.int32), fits

  def step(state):
    c, before, _, count = state
    now, fits = held(c)
    # Never down: the scale grows as more pixels are stopped.
    return jnp.clip(fits, c, unit * most), now, before, count + 1

  def unfinished(state):
    _, now, before, count = state
    return (now != before) & (count < MOST_STEPS)

  begin = (jnp.zeros((), size.dtype), jnp.int32(0), jnp.int32(-1), jnp.int32(0))
  c, *_ = jax.lax.while_loop(unfinished, step, begin)
  return jnp.sign(moved) * jnp.minimum(c * size, room)


def exchange(
  moved: Array, clean: Array, gradient: Array, size: float | Array, radius: float | Array
) -> Array:
  """The steepest step of an L1 length inside an L1 ball and the box [0, 1].

  `size` goes to the pixels with the largest slopes, to each as much as the box allows.
  What the ball then lacks is taken back where it serves least: from pixels that moved
  against the slope, then from those with the smallest one. On a linear function such steps
  end on its largest value.

  Args:
    moved: [B, H, W, C], the change so far; may be outside.
    clean: [B, H, W, C] in [0, 1].
    gradient: [B, H, W, C]; pixels where it is 0 are not raised.
    size: length of the step.
    radius: of the ball.

  Returns:
    [B, H, W, C], the change after it.
  """
  flat = lambda a: a.reshape(len(a), -1)
  each = jax.vmap(_exchange, (0, 0, 0, None, None))
  found = each(flat(moved), flat(clean), flat(gradient), size, radius)
  return found.reshape(moved.shape)


def _exchange(
  moved: Array,
  clean: Array,
  gradient: Array,
  size: float | Array,
  radius: float | Array,
) -> Array:
  # A start may lie outside of the box.
  moved = jnp.clip(clean + moved, 0, 1) - clean
  room = jnp.where(gradient == 0, 0, _room(clean + moved, gradient))
  moved = moved + jnp.sign(gradient) * _served(jnp.abs(gradient), room, size)
  held = jnp.abs(moved)
  excess = jnp.maximum(jnp.sum(held) - radius, 0)
  worth = gradient * jnp.sign(moved)
  return moved - jnp.sign(moved) * _served(-worth, held, excess)


def _served(urgency: Array, room: Array, total: float | Array) -> Array:
  """Hands out `total`, first to the most urgent, to each at most its room; all [D].

  Those who are equally urgent share. By bisection: sorting takes several times as long.
  """
  largest = jnp.max(jnp.abs(urgency))
  urgency = urgency / jnp.where(largest > 0, largest, 1)

  def halve(state):
    low, high, _, count = state
    middle = (low + high) / 2
    over = jnp.sum(jnp.where(urgency > middle, room, 0)) > total
    low, high = jnp.where(over, middle, low), jnp.where(over, high, middle)
    between = (urgency > low) & (urgency <= high) & (room > 0)
    return low, high, jnp.sum(between), count + 1

  def unfinished(state):
    _, _, between, count = state
    return (between > 1) & (count < BISECTIONS)

  two = jnp.full((), 2, urgency.dtype)
  begin = (-two, two, jnp.sum(room > 0), jnp.int32(0))
  low, high, *_ = jax.lax.while_loop(unfinished, halve, begin)
  first = jnp.where(urgency > high, room, 0)
  next_ones = jnp.where((urgency > low) & (urgency <= high), room, 0)
  left = jnp.maximum(total - jnp.sum(first), 0)
  share = left / jnp.maximum(jnp.sum(next_ones), jnp.finfo(room.dtype).tiny)
  return first + jnp.minimum(share, 1) * next_ones


def _shrink(moved: Array, clean: Array, radius: Array) -> Array:
  size = jnp.abs(moved)
  room = _room(clean, jnp.sign(moved))
  eps = jnp.finfo(moved.dtype).eps

  def left(t):
    return jnp.minimum(jnp.maximum(size - t, 0), room)

  def step(state):
    t, low, high, excess, count = state
    low, high = jnp.where(excess > 0, t, low), jnp.where(excess > 0, high, t)
    slope = jnp.sum((size > t) & (size - t < room)).astype(t.dtype)
    newton = t + excess / jnp.maximum(slope, 1)
    # Neither convex nor concave: where Newton's step leaves the bracket, halve that.
    inside = (newton > low) & (newton < high) & (slope > 0)
    t = jnp.where(inside, newton, (low + high) / 2)
    return t, low, high, jnp.sum(left(t)) - radius, count + 1

  def unfinished(state):
    _, low, high, excess, count = state
    wide = high - low > 2 * eps * high
    return (jnp.abs(excess) > 4 * eps * radius) & wide & (count < MOST_STEPS)

  zero = jnp.zeros((), moved.dtype)
  begin = jnp.sum(left(zero)) - radius
  start = (zero, zero, jnp.max(size), jnp.maximum(begin, 0), jnp.int32(0))
  t, *_ = jax.lax.while_loop(unfinished, step, start)
  return jnp.sign(moved) * left(t)
