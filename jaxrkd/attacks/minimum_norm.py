"""How far the nearest adversarial image is, whatever the radius: searches made to the end."""

import dataclasses
import functools
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp

from jaxrkd.attacks import doors
from jaxrkd.attacks.base import example_keys
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.stepwise import (
  Points,
  Stepwise,
  ask,
  not_finite,
  pick,
  ranked_targets,
)
from jaxrkd.attacks.threat import Threat
from jaxrkd.errors import InputError

Array = jax.Array


class Best(NamedTuple):
  """The nearest adversarial image so far; the first fields of a search's state.

  Attributes:
    fooled: [B] bool, whether it lies in the ball.
    found: [B, H, W, C], it where it lies in the ball, the clean image elsewhere.
    nearest: [B, H, W, C], it, in the ball or not; the clean image before there is any.
    distance: [B], how far it is; infinite before there is any.
  """

  fooled: Array
  found: Array
  nearest: Array
  distance: Array

  @classmethod
  def none(cls, clean: Array) -> 'Best':
    """Before anything was found."""
    far = jnp.full(len(clean), jnp.inf, clean.dtype)
    return cls(far < 0, clean, clean, far)

  @classmethod
  def of(cls, state: Any) -> 'Best':
    """That of a search's state."""
    return cls(state.fooled, state.found, state.nearest, state.distance)

  def after(self, threat: Threat, clean: Array, images: Array, wrong: Array) -> 'Best':
    """With images that were asked about, where these are nearer.

    Args:
      threat: the ball.
      clean: [B, H, W, C].
      images: [B, H, W, C].
      wrong: [B], whether these are taken for another class.
    """
    far = threat.norm(images - clean).reshape(-1)
    nearer = wrong & (far < self.distance)
    distance = pick(nearer, far, self.distance)
    nearest = pick(nearer, images, self.nearest)
    inside = distance <= threat.eps
    return Best(inside, pick(inside, nearest, clean), nearest, distance)


def forgotten(state: Any, rows: Array) -> Any:
  """The state after what was found in `rows` turned out to be none; see `Stepwise.forget`."""
  return state._replace(
    distance=pick(rows, jnp.full_like(state.distance, jnp.inf), state.distance)
  )


class _Whole(NamedTuple):
  """All runs of a search; see `Best` and `stepwise.State`."""

  fooled: Array
  found: Array
  nearest: Array
  distance: Array
  inner: Any
  targets: Array
  not_finite: Array


@dataclasses.dataclass(frozen=True, eq=False)
class ToTheEnd(Stepwise):
  """A minimum-norm attack that stops at no success, and ends with the nearest image.

  Attributes:
    norm: whose norm measures how far that is.
  """

  norm: Threat | None = None


@functools.lru_cache(maxsize=64)
def to_the_end(attack: Stepwise, classes: int, norm: Threat | None = None) -> ToTheEnd:
  """Builds it.

  Args:
    attack: one that `distances` takes.
    classes: of the network.
    norm: see `ToTheEnd`; by default the attack's own.

  Raises:
    InputError: another attack.
  """
  minimum_norm_attack(attack)
  runs = attack.runs_on(classes)
  steps = runs * attack.steps

  def begin(points: Points) -> _Whole:
    inner = attack.begin(points)
    targets = jnp.zeros((len(points.label), classes - 1), jnp.int32)
    none = Best.none(points.clean)
    return _Whole(*none, inner, targets, none.fooled)

  def step(logits_fn: LogitsFn, points: Points, state: _Whole, i: Array) -> _Whole:
    run, own = i // attack.steps, i % attack.steps
    targets, first = state.targets, i == 0
    if attack.targeted:
      clean = lambda: ask(logits_fn, points.clean, points.key)
      ranked = lambda: pick(first, ranked_targets(clean(), points.label), targets)
      targets = jax.lax.cond(jnp.any(first), ranked, lambda: targets)
    place = jnp.minimum(run, classes - 2)
    target = jnp.take_along_axis(targets, place[:, None], axis=1)[:, 0]
    here = points._replace(target=target, run=run)
    fresh = functools.partial(pick, own == 0)
    inner = jax.tree.map(fresh, attack.begin(here), state.inner)
    inner = attack.step(logits_fn, here, inner, own)
    nearer = inner.distance < state.distance
    distance = pick(nearer, inner.distance, state.distance)
    nearest = pick(nearer, inner.nearest, state.nearest)
    fooled = (i == steps - 1) & jnp.isfinite(distance)
    broken = state.not_finite | not_finite(inner)
    return _Whole(fooled, nearest, nearest, distance, inner, targets, broken)

  return ToTheEnd(begin, step, steps, 1, attack.queries, norm=norm or attack.threat)


def distances(
  attack: Stepwise, key: Array, logits_fn: LogitsFn, images: Array, labels: Array
) -> tuple[Array, Array]:
  """The nearest adversarial images and how far they are, whatever the radius.

  Args:
    attack: of `fab`, `fab_t`, `deepfool`, `ddn` or `cw_l2`.
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
  minimum_norm_attack(attack)
  key, images, labels = doors.attack_arguments(key, logits_fn, images, labels)
  keys = key if key.ndim else example_keys(key, jnp.arange(images.shape[0]))
  logits = ask(logits_fn, images, keys)
  labels = labels.astype(jnp.int32)
  search = to_the_end(attack, logits.shape[-1])
  none = jnp.zeros_like(labels)
  points = Points(keys, images, labels, labels, none)

  def step(i, state):
    return search.step(logits_fn, points, state, none + i)

  state = jax.lax.fori_loop(0, search.steps, step, search.begin(points))
  return state.nearest, state.distance


def is_minimum_norm(attack: Any) -> TypeGuard[Stepwise]:
  """Whether an attack looks for the nearest adversarial image."""
  return isinstance(attack, Stepwise) and attack.minimum_norm


def minimum_norm_attack(attack: Any, name: str = '') -> Stepwise:
  """The attack; raises `InputError` unless it looks for the nearest adversarial image.

  Args:
    attack: itself.
    name: of it, for the message.
  """
  if not is_minimum_norm(attack):
    told = f'{name!r} is no such attack: ' if name else ''
    raise InputError(
      f'{told}distances are found by minimum-norm attacks alone; give fab, fab_t, deepfool, '
      'ddn or cw_l2'
    )
  return attack
