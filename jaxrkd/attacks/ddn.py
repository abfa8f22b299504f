"""DDN: a direction by the gradient, and a length of its own that grows and shrinks."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.minimum_norm import Best, forgotten
from jaxrkd.attacks.objectives import LogitsFn, unmasked
from jaxrkd.attacks.slopes import slopes
from jaxrkd.attacks.stepwise import Points, Stepwise, ask, fools
from jaxrkd.attacks.threat import L2, Threat, check_threat
from jaxrkd.errors import InputError, above_zero, whole_number

Array = jax.Array
# The last step of the direction, as a share of the first.
LAST = 0.01


class DdnState(NamedTuple):
  """State of DDN, see `stepwise.State` and `minimum_norm.Best`.

  Attributes:
    fooled, found, nearest, distance: see `Best`.
    moved: [B, H, W, C], how far the image is from the clean one.
    length: [B], of the perturbation that is aimed at.
    not_finite: see `stepwise.State`.
  """

  fooled: Array
  found: Array
  nearest: Array
  distance: Array
  moved: Array
  length: Array
  not_finite: Array


@built_once
def ddn(
  threat: Threat, *, steps: int = 100, length: float = 1.0, gamma: float = 0.05
) -> Stepwise:
  """Decoupling direction and norm (Rony et al., 2019, 1811.09600, algorithm 1).

  Images are not rounded to 8 bits, as the authors' code does by default.

  Args:
    threat: the L2 ball. The search itself is not bound by it.
    steps: forward and backward passes.
    length: of the first perturbation, in [0, 1] pixels.
    gamma: by which share the length grows or shrinks in a step.

  Raises:
    InputError: an option out of range, or another norm.
  """
  check_threat(threat)
  # The first asks about the clean image.
  whole_number(steps, 2, 'attack.steps')
  above_zero(length, 'attack.length')
  if not 0 < gamma < 1:
    raise InputError(f'attack.gamma is {gamma}; it must lie between 0 and 1')
  if not isinstance(threat, L2):
    raise InputError(
      f'DDN searches in L2, and the ball is {threat}; give an L2 ball, or take attacks.fab_t'
    )
  _check_reach(steps, length, gamma, threat.eps)

  def begin(points: Points) -> DdnState:
    none = Best.none(points.clean)
    first = jnp.full_like(none.distance, length)
    return DdnState(*none, jnp.zeros_like(points.clean), first, none.fooled)

  def step(logits_fn: LogitsFn, points: Points, state: DdnState, i: Array) -> DdnState:
    clean = points.clean

    def loss(images, _):
      logits = ask(logits_fn, images, points.key)
      # Of the same direction as the cross-entropy's slope, which is 0 at a sure softmax.
      own = jax.nn.one_hot(points.label, logits.shape[-1], dtype=bool)
      seen = unmasked(logits)
      true = jnp.sum(jnp.where(own, seen, 0), axis=-1)
      others = jax.nn.logsumexp(jnp.where(own, -jnp.inf, seen), axis=-1)
      return others - true, logits

    images = clean + state.moved
    slope, broken, logits = slopes(loss, images, None)
    wrong = fools(logits, points.label)
    best = Best.of(state).after(threat, clean, images, wrong)
    share = LAST + (1 - LAST) * (1 + jnp.cos(jnp.pi * i.astype(clean.dtype) / steps)) / 2
    each = lambda value: value.reshape(-1, 1, 1, 1).astype(clean.dtype)
    moved = state.moved + each(share) * threat.steepest(slope)
    size = state.length * jnp.where(wrong, 1 - gamma, 1 + gamma)
    # No way inside the box is longer than that to its farthest corner.
    most = threat.norm(jnp.maximum(clean, 1 - clean)).reshape(-1)
    size = jnp.minimum(size, most)
    moved = moved * each(size) / jnp.maximum(threat.norm(moved), 1e-12)
    moved = jnp.clip(clean + moved, 0, 1) - clean
    return DdnState(*best, moved, size, state.not_finite | broken)

  return Stepwise(begin, step, steps, 1, 1, False, forgotten, threat, minimum_norm=True)


def _check_reach(steps: int, length: float, gamma: float, eps: Any) -> None:
  """Refuses lengths that do not grow to the radius, so that any network would look robust."""
  if isinstance(eps, jax.core.Tracer) or length * (1 + gamma) ** (steps - 1) >= eps:
    return
  wanted = 1 + math.ceil(math.log(eps / length) / math.log(1 + gamma))
  raise InputError(
    f'attack.steps is {steps}: from attack.length {length:g} on, the perturbation of DDN '
    f'grows to {length * (1 + gamma) ** (steps - 1):.3g}, less than the radius {eps:.4g}, so '
    f'that any network would look robust; give {wanted} steps or more, or a larger length'
  )
