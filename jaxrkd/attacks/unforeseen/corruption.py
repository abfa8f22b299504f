"""Search over the free variables of an image change: fog, snow, a warp.

The attacks built on it are the unforeseen ones of Kang et al. (2019, 1908.08016), "UAR".
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.attacks.base import Carry, CarryObjective, Climbed, Search
from jaxrkd.attacks.repeat import repeat
from jaxrkd.attacks.slopes import nowhere, slopes
from jaxrkd.attacks.step_size import check_budget
from jaxrkd.errors import InputError, above_zero, in_range

Array = jax.Array
# Name of the axis of images, for a change that looks at its whole batch.
BATCH = 'images'
Free = Any
Fixed = Any


def sign_ascent(free: Free, gradient: Free, step_size: float) -> Free:
  """Moves every variable by `step_size` along the sign of its gradient."""
  return jax.tree.map(lambda x, g: x + step_size * jnp.sign(g), free, gradient)


class Corruption(NamedTuple):
  """A family of changes of ONE image [H, W, C] in [0, 1]; searches map it over batches.

  Attributes:
    start: (key, image) -> (free, fixed), two pytrees of arrays: a random start of what
      the attack moves, and random constants that it does not (kernels, masks).
    render: (free, fixed, image) -> image in [0, 1], differentiable in `free`.
    project: (free, fixed, image) -> `free` in its allowed set.
    ascend: (free, gradient, step_size) -> `free` one step on, not yet projected.
  """

  start: Callable[[Array, Array], tuple[Free, Fixed]]
  render: Callable[[Free, Fixed, Array], Array]
  project: Callable[[Free, Fixed, Array], Free]
  ascend: Callable[[Free, Free, float], Free] = sign_ascent


def corruption_search(corruption: Corruption, *, steps: int, step_size: float) -> Search:
  """Ascent on the free variables with projection after each step.

  Args:
    corruption: how one image changes.
    steps: gradient evaluations.
    step_size: length of one step, in units of the free variables.

  Raises:
    InputError: fewer than 1 step, a step size that is not above 0.
  """
  above_zero(step_size, 'attack step_size')

  def move(done, free, gradient, fixed, image):
    del done
    free = corruption.ascend(free, gradient, step_size)
    return corruption.project(free, fixed, image)

  return free_search(corruption, move, steps=steps)


def free_search(
  corruption: Corruption, move: Callable[..., Free], *, steps: int
) -> Search:
  """A search over the free variables by any rule.

  Args:
    corruption: how one image changes; `project` and `ascend` are left to `move`.
    move: (steps done, free, gradient, fixed, image) -> `free` one step on, of one image.
    steps: gradient evaluations.

  Raises:
    InputError: fewer than 1 step.
  """
  at_least_one(steps)

  def climb(keys: Array, objective: CarryObjective, clean: Array, carry: Carry):
    free, fixed = jax.vmap(corruption.start)(keys, clean)

    def render(free):
      return jax.vmap(corruption.render, axis_name=BATCH)(free, fixed, clean)

    def rendered(free, carry):
      return objective(render(free), carry)

    def step(state):
      done, free, broken, carry = state
      gradient, now, carry = slopes(rendered, free, carry)
      free = jax.vmap(move, (None, 0, 0, 0, 0))(done, free, gradient, fixed, clean)
      return done + 1, free, broken | now, carry

    begin = (jnp.zeros((), clean.dtype), free, nowhere(clean), carry)
    _, free, broken, carry = repeat(steps, step, begin)
    return Climbed(render(free), carry, broken)

  return Search(climb, queries=steps)


def at_least_one(steps: int) -> int:
  """Returns `steps` if it is 1 or more, else raises `InputError`."""
  if not steps >= 1:
    raise InputError(f'attack steps is {steps}; it must be at least 1')
  return steps


def step_length(
  strength: float, steps: int, step_size: float, usual: float | None = None
) -> float:
  """Checks the three options that all these attacks share.

  Returns:
    `step_size`, or where it is 0 the published rule: `usual` if given, else
    strength / sqrt(steps).

  Raises:
    InputError: strength not above 0, steps below 1, step size negative, not finite, or
      too small to reach the border of a ball of that strength.
  """
  above_zero(strength, 'attack strength')
  at_least_one(steps)
  in_range(step_size, 0, float('inf'), 'attack step_size')
  if step_size and usual is None:
    # Where the variables lie in a ball of this radius.
    check_budget(steps, steps * step_size, strength)
  return step_size or usual or strength / math.sqrt(steps)


def to_unit(image: Array) -> Array:
  """Clips into [0, 1]; the gradient is 1 on the bounds too, 0 beyond them.

  `jnp.clip` halves it on the bounds, where many pixels of real images lie.
  """
  return jnp.where(image < 0, 0, jnp.where(image > 1, 1, image))


def convolve(planes: Array, kernels: Array) -> Array:
  """Sum over planes of the zero-padded convolution with each one's kernel.

  By Fourier transforms: XLA's convolutions are slow inside loops on CPU.

  Args:
    planes: [N, H, W].
    kernels: [N, K, K], K odd, of any size against H and W.

  Returns:
    [H, W], centred on the kernel's middle.
  """
  height, width = planes.shape[-2:]
  side = kernels.shape[-1]
  size = (height + side - 1, width + side - 1)
  product = jnp.fft.rfft2(planes, s=size) * jnp.fft.rfft2(kernels, s=size)
  full = jnp.fft.irfft2(product.sum(0), s=size)
  edge = side // 2
  return full[edge : edge + height, edge : edge + width]
