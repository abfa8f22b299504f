"""Where images may move: the ball around a clean image, cut with the box [0, 1]."""

import dataclasses
import math
from collections.abc import Callable, Hashable
from typing import Protocol

import jax
import jax.numpy as jnp

from jaxrkd.attacks.projections import l1_ball_and_box
from jaxrkd.errors import InputError

Array = jax.Array


class Threat(Hashable, Protocol):
  """A set of allowed images around each clean one; images are [B, H, W, C] in [0, 1]."""

  @property
  def eps(self) -> float: ...

  def noise(self, key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """One draw, uniform in the ball around 0, for one image of this shape."""
    ...

  def project(self, images: Array, clean: Array) -> Array:
    """Into the ball around `clean`, then into [0, 1]."""
    ...

  def steepest(self, gradient: Array) -> Array:
    """The direction of unit norm that raises a linear function fastest, per image."""
    ...

  def norm(self, moved: Array) -> Array:
    """How far images moved: the norm that `eps` bounds, per image, [B, 1, 1, 1]."""
    ...

  def dual_norm(self, gradient: Array) -> Array:
    """How fast a linear function can rise per unit of `norm`, [B, 1, 1, 1]."""
    ...

  def draw(self, key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """A random direction for one image, of any length: where AutoAttack starts."""
    ...


def _check_eps(eps: float, most: float | None) -> None:
  if isinstance(eps, jax.Array):
    return  # a radius that a compiled program is told when it runs
  if not eps >= 0 or (most is not None and eps > most):
    allowed = 'between 0 and 1' if most else '0 or more'
    raise InputError(
      f'eps is {eps}, but pixels are in [0, 1], so it must be {allowed}: '
      f'write {eps:g}/255 = {eps / 255:.5g} if you mean 8-bit levels'
    )


def check_step_size(step_size: float, threat: Threat) -> None:
  """Raises `InputError` for a step that was meant in 8-bit levels, or is no number."""
  if isinstance(step_size, jax.Array):
    return
  if not 0 <= step_size < float('inf') or (step_size > 1 and threat.eps <= 1):
    raise InputError(
      f'attack step_size is {step_size}, but pixels are in [0, 1]: write '
      f'{step_size:g}/255 = {step_size / 255:.5g} if you mean 8-bit levels'
    )


@dataclasses.dataclass(frozen=True)
class Linf:
  """No pixel moves by more than `eps`.

  Args:
    eps: radius in [0, 1] pixels, usually 8/255.

  Raises:
    InputError: eps is outside [0, 1].
  """

  eps: float

  def __post_init__(self):
    _check_eps(self.eps, 1.0)

  def noise(self, key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -self.eps, self.eps)

  def project(self, images, clean):
    inside = clean + jnp.clip(images - clean, -self.eps, self.eps)
    return jnp.clip(inside, 0, 1)

  def steepest(self, gradient):
    return jnp.sign(gradient)

  def norm(self, moved):
    return _per_image(jnp.max, jnp.abs(moved))

  def dual_norm(self, gradient):
    return _per_image(jnp.sum, jnp.abs(gradient))

  def draw(self, key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -1, 1)


@dataclasses.dataclass(frozen=True)
class _Ball:
  """What L2 and L1 share: any radius of 0 or more, and where AutoAttack starts."""

  eps: float

  def __post_init__(self):
    _check_eps(self.eps, None)

  def draw(self, key, shape, dtype):
    return jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class L2(_Ball):
  """The Euclidean distance over all pixels of an image is at most `eps`.

  Args:
    eps: radius in [0, 1] pixels, usually 0.5 for 32x32 images.

  Raises:
    InputError: eps is negative.
  """

  def noise(self, key, shape, dtype):
    direction_key, radius_key = jax.random.split(key)
    direction = jax.random.normal(direction_key, shape, dtype)
    # The share of a ball's volume within radius r grows as r^d.
    radius = jax.random.uniform(radius_key, (), dtype) ** (1 / direction.size)
    return self.eps * radius * direction / jnp.linalg.norm(direction)

  def project(self, images, clean):
    moved = images - clean
    length = _length(moved)
    inside = clean + moved * jnp.minimum(1, self.eps / jnp.maximum(length, 1e-12))
    # Clipping towards the box, which holds `clean`, only shortens the way to it.
    return jnp.clip(inside, 0, 1)

  def steepest(self, gradient):
    return gradient / jnp.maximum(_length(gradient), 1e-12)

  def norm(self, moved):
    return _length(moved)

  def dual_norm(self, gradient):
    return _length(gradient)


@dataclasses.dataclass(frozen=True)
class L1(_Ball):
  """The changes of all pixels of an image add up to at most `eps`.

  Args:
    eps: radius in [0, 1] pixels, usually 12 for 32x32 images.

  Raises:
    InputError: eps is negative.
  """

  def noise(self, key, shape, dtype):
    # Exponential lengths over the sum of one more of them are uniform in the simplex.
    size_key, sign_key = jax.random.split(key)
    count = math.prod(shape)
    sizes = jax.random.exponential(size_key, (count + 1,), dtype)
    signs = jax.random.rademacher(sign_key, (count,), dtype)
    return (self.eps * signs * sizes[:-1] / jnp.sum(sizes)).reshape(shape)

  def project(self, images, clean):
    return clean + l1_ball_and_box(images - clean, clean, self.eps)

  def steepest(self, gradient):
    # Ties share the step, so that mirrored pixels move alike.
    size = jnp.abs(gradient)
    first = (size == _per_image(jnp.max, size)) & (size > 0)
    share = first / jnp.maximum(_per_image(jnp.sum, first), 1)
    return jnp.sign(gradient) * share.astype(gradient.dtype)

  def norm(self, moved):
    return _per_image(jnp.sum, jnp.abs(moved))

  def dual_norm(self, gradient):
    return _per_image(jnp.max, jnp.abs(gradient))


def _per_image(reduce: Callable[..., Array], images: Array) -> Array:
  return reduce(images, axis=tuple(range(1, images.ndim)), keepdims=True)


def _length(images: Array) -> Array:
  """Euclidean norm of each image, [B, 1, 1, 1]."""
  return jnp.sqrt(_per_image(jnp.sum, images**2))


THREATS: dict[str, Callable[..., Threat]] = {'linf': Linf, 'l2': L2, 'l1': L1}
