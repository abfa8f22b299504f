"""Where images may move: the ball around a clean image, cut with the box [0, 1]."""

import abc
import dataclasses
import math
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxrkd.attacks.projections import (
  exchange,
  l1_ball_and_box,
  l2_ball_and_box,
  l2_corner,
)
from jaxrkd.attacks.step_size import is_number
from jaxrkd.errors import InputError

Array = jax.Array
# Radii of Linf, in 8-bit levels, that are left by mistake when the norm is changed.
LINF_LEVELS = range(1, 17)


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

  def ascend(self, images: Array, clean: Array, gradient: Array, size: Any) -> Array:
    """One step of length `size` up a linear function, ending inside the set."""
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


def check_threat(threat: Any) -> None:
  """Raises `InputError` where something else stands in the place of a threat set."""
  if isinstance(threat, type) or not hasattr(threat, 'project'):
    name = getattr(threat, '__name__', repr(threat))
    known = isinstance(threat, type) and issubclass(threat, _Ball)
    example = f'attacks.{name}' if known else 'attacks.Linf'
    raise InputError(
      f'the threat set is {name}; give the ball in which images may move, such as '
      f'{example}(8 / 255)' + (', with its radius' if known else '')
    )


def _check_number(eps: Any) -> None:
  if not is_number(eps) or not math.isfinite(eps):
    raise InputError(
      f'eps is {eps!r}; give the radius as one number in [0, 1] pixels, such as 8 / 255'
    )


def ascend(threat: Threat, images: Array, clean: Array, gradient: Array, size: Any):
  """`Threat.ascend`; of a set of one's own without it, the steepest step, projected."""
  if hasattr(threat, 'ascend'):
    return threat.ascend(images, clean, gradient, size)
  return threat.project(images + size * threat.steepest(gradient), clean)


def told(threat: Threat) -> str:
  """A threat set in a few words, the same for radii that differ by rounding."""
  if isinstance(threat, _Ball):
    return f'{type(threat).__name__}({threat.eps:.6g})'
  return repr(threat)


def holds(outer: Threat | None, inner: Threat) -> bool:
  """Whether one ball is known to hold another one of the same norm and middle."""
  return (
    isinstance(outer, _Ball) and type(outer) is type(inner) and outer.eps >= inner.eps
  )


def radius(eps: float) -> str:
  """A radius or step as people write it: '8/255' for whole 8-bit levels, else '0.12'."""
  short, levels = f'{eps:.4g}', round(255 * eps)
  whole = levels and math.isclose(255 * eps, levels, rel_tol=1e-6)
  return f'{levels}/255' if whole and float(short) != eps else short


def _levels(eps: float, allowed: str) -> InputError:
  way = f': write {eps:g}/255 = {eps / 255:.5g} if you mean 8-bit levels'
  return InputError(
    f'eps is {eps}, but pixels are in [0, 1], so it must be {allowed}{way if eps > 0 else ""}'
  )


@dataclasses.dataclass(frozen=True)
class _Ball(abc.ABC):
  """What all balls share: a radius that is checked, and a step that is projected."""

  eps: float

  def __post_init__(self):
    if isinstance(self.eps, jax.core.Tracer):
      return  # a radius that a compiled program is told when it runs
    _check_number(self.eps)
    self._check_scale(self.eps)
    # Of numpy or JAX, it would make a set that cannot be looked up.
    object.__setattr__(self, 'eps', float(self.eps))

  @abc.abstractmethod
  def _check_scale(self, eps: float) -> None: ...

  def ascend(self, images, clean, gradient, size):
    return self.project(images + size * self.steepest(gradient), clean)

  @abc.abstractmethod
  def project(self, images, clean): ...

  @abc.abstractmethod
  def steepest(self, gradient): ...


@dataclasses.dataclass(frozen=True)
class Linf(_Ball):
  """No pixel moves by more than `eps`.

  Args:
    eps: radius in [0, 1] pixels, usually 8/255.

  Raises:
    InputError: eps is outside [0, 1].
  """

  def _check_scale(self, eps):
    if not 0 <= eps <= 1:
      raise _levels(eps, 'between 0 and 1')

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
class _Sum(_Ball):
  """What L2 and L1 share: a scale of their own, and where AutoAttack starts."""

  def _check_scale(self, eps):
    norm, usual, most = type(self).__name__, self.USUAL, self.MOST
    if not 0 <= eps <= most:
      raise _levels(eps, f'between 0 and {most:g}, usually about {usual} in {norm}')
    levels = round(eps * 255)
    if levels in LINF_LEVELS and eps == levels / 255:
      raise InputError(
        f'eps is {eps:.4g}, which is {levels}/255, a radius of Linf: in {norm} it bounds '
        f'the change of all pixels together, and {usual} is usual for 32x32 images; give '
        f'a radius of {norm}, or {eps:.3g} if you do mean this one'
      )

  USUAL, MOST = 0.0, math.inf

  def draw(self, key, shape, dtype):
    return jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class L2(_Sum):
  """The Euclidean distance over all pixels of an image is at most `eps`.

  Args:
    eps: radius in [0, 1] pixels, usually 0.5 for 32x32 images.

  Raises:
    InputError: eps is negative, above 100, or exactly k/255 for a k up to 16, which is a
      radius of Linf.
  """

  USUAL, MOST = 0.5, 100.0

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
    # In units of the largest entry: the square of a small slope underflows, of a large one
    # overflows, and either would stand still.
    largest = _per_image(jnp.max, jnp.abs(gradient))
    gradient = gradient / jnp.where(largest > 0, largest, 1)
    return gradient / jnp.maximum(_length(gradient), 1e-12)

  def ascend(self, images, clean, gradient, size):
    # Towards the best point that ball and box allow, and half away from where the image is:
    # steps along the gradient alone turn round the ball ever more slowly, and those into the
    # walls of the box are lost; steps straight there forget what earlier slopes had found.
    # Pixels without a slope stay: behind a maximum or a ReLU they may have had one.
    largest = _per_image(jnp.max, jnp.abs(gradient))
    scaled = gradient / jnp.where(largest > 0, largest, 1)
    moved = self.project(images, clean) - clean
    way = l2_corner(scaled, clean, self.eps) - moved / 2
    way = jnp.where(scaled == 0, 0, way)
    moved = moved + size * way / jnp.maximum(_length(way), 1e-12)
    moved = l2_ball_and_box(moved, clean, self.eps)
    return jnp.clip(clean + moved, 0, 1)

  def norm(self, moved):
    return _length(moved)

  def dual_norm(self, gradient):
    return _length(gradient)


@dataclasses.dataclass(frozen=True)
class L1(_Sum):
  """The changes of all pixels of an image add up to at most `eps`.

  Args:
    eps: radius in [0, 1] pixels, usually 12 for 32x32 images.

  Raises:
    InputError: eps is negative, above 1000, or exactly k/255 for a k up to 16, which is a
      radius of Linf.
  """

  USUAL, MOST = 12.0, 1000.0

  def times(self, factor: float) -> 'L1':
    """A larger ball for a search that ends in this one; its radius is not checked."""
    found = object.__new__(L1)
    object.__setattr__(found, 'eps', factor * self.eps)
    return found

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

  def ascend(self, images, clean, gradient, size):
    # The steepest pixel alone is soon at the edge of the box.
    moved = exchange(images - clean, clean, gradient, size, self.eps)
    return jnp.clip(clean + moved, 0, 1)

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
