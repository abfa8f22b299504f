"""Frank-Wolfe on L1 balls: each step averages in the best corner of the ball."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd.attacks.base import Attack, Search
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.unforeseen.corruption import Corruption, free_search
from jaxrkd.errors import above_zero

Array = jax.Array


@built_once
def frank_wolfe_l1(*, strength: float = 0.2539063, steps: int = 200) -> Attack:
  """Frank-Wolfe on the L1 ball, inside the pixels' range (Kang et al., 2019, 1908.08016).

  The result is the mean of the corners, so there is no step size, and the random start
  only decides where the first gradient is taken. Published strengths: CIFAR-10 0.0634766,
  0.1269531, 0.2539063, 0.5078125, 2.03125, 8.125; ImageNet-100 0.063526, 0.127053,
  0.508211, 1.016422, 2.032844, 4.065689.

  Args:
    strength: mean absolute change in 8-bit levels; the ball's radius is this times the
      number of values of an image (3072 on CIFAR-10: 780 levels for the default).
    steps: gradient evaluations.

  Raises:
    InputError: strength not above 0, fewer than 1 step.
  """
  above_zero(strength, 'attack strength')

  def corner(gradient: Array, image: Array) -> Array:
    room = jnp.where(gradient > 0, 1 - image, image)
    return l1_corner(gradient, room, strength / 255 * image.size)

  return Attack(frank_wolfe_search(l1_corruption(strength), corner, steps=steps))


def l1_corruption(strength: float) -> Corruption:
  """The change by `frank_wolfe_l1`; free is the change [H, W, C], added to the image."""

  def start(key: Array, image: Array):
    change = in_l1_ball(key, image.shape, image.dtype) * strength / 255 * image.size
    return jnp.clip(image + change, 0, 1) - image, ()

  def render(change: Array, fixed, image: Array) -> Array:
    del fixed
    moved = image + change
    # A mean of corners leaves [0, 1] only by rounding, which must not cost the gradient.
    return moved + jax.lax.stop_gradient(jnp.clip(moved, 0, 1) - moved)

  # A mean of points of the set stays in it: nothing to project.
  return Corruption(start, render, lambda change, fixed, image: change)


def frank_wolfe_search(
  corruption: Corruption, corner: Callable[[Array, Array], Array], *, steps: int
) -> Search:
  """Moves the free array by 1 / (i + 1) of the way to a corner at step i = 0, 1, ...

  Args:
    corruption: how one image changes; its free variables are one array, its `project`
      and `ascend` are not used.
    corner: (gradient, image) -> the point of the convex set furthest along the gradient.
    steps: gradient evaluations.

  Raises:
    InputError: fewer than 1 step.
  """

  def move(done, free, gradient, fixed, image):
    del fixed
    return free + (corner(gradient, image) - free) / (done + 1)

  return free_search(corruption, move, steps=steps)


def l1_corner(gradient: Array, room: Array, radius: float) -> Array:
  """The point of an L1 ball within a box that is furthest along the gradient.

  The largest slopes are served first, each with all its room, until the radius is spent.

  Args:
    gradient: any shape.
    room: same shape, >= 0: how far each value may move along its gradient's sign.
    radius: of the ball, in units of `room`.
  """
  slopes, caps = jnp.abs(gradient).ravel(), room.ravel()
  order = jnp.argsort(-slopes)
  caps = caps[order]
  spent = jnp.cumsum(caps) - caps
  length = jnp.zeros_like(caps).at[order].set(jnp.clip(radius - spent, 0, caps))
  return jnp.sign(gradient) * length.reshape(gradient.shape)


def in_l1_ball(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
  """Uniform in the L1 ball of radius 1 (Barthe et al., 2005, math/0503650, Theorem 1)."""
  length_key, rest_key, sign_key = jax.random.split(key, 3)
  length = jax.random.exponential(length_key, shape, dtype)
  rest = jax.random.exponential(rest_key, (), dtype)
  return jax.random.rademacher(sign_key, shape, dtype) * length / (rest + length.sum())
