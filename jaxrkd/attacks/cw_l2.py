"""Carlini and Wagner's attack in L2: distance against margin, their weight by bisection."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.minimum_norm import Best, forgotten
from jaxrkd.attacks.objectives import LogitsFn, unmasked
from jaxrkd.attacks.slopes import slopes
from jaxrkd.attacks.stepwise import Points, Stepwise, ask, fools, pick
from jaxrkd.attacks.threat import L2, Threat, check_threat
from jaxrkd.errors import InputError, above_zero, in_range, whole_number

Array = jax.Array
# Keeps the inverse of tanh finite at pixels of 0 and 1.
INSIDE = 0.999999
# Adam's constants, and by how much the weight grows while nothing is found.
B1, B2, TINY, GROW = 0.9, 0.999, 1e-8, 10.0


class CwState(NamedTuple):
  """State of CW-L2, see `stepwise.State` and `minimum_norm.Best`.

  Attributes:
    fooled, found, nearest, distance: see `Best`.
    moved: [B, H, W, C], the variable: what is added to the clean image's arctanh.
    first, second: [B, H, W, C], Adam's moments.
    weight: [B], of the margin.
    low, high: [B], weights known to be too small, and large enough.
    succeeded: [B], whether this weight has found an adversarial image.
    not_finite: see `stepwise.State`.
  """

  fooled: Array
  found: Array
  nearest: Array
  distance: Array
  moved: Array
  first: Array
  second: Array
  weight: Array
  low: Array
  high: Array
  succeeded: Array
  not_finite: Array


@built_once
def cw_l2(
  threat: Threat,
  *,
  steps: int = 1000,
  searches: int = 9,
  step_size: float = 0.01,
  weight: float = 1e-3,
  kappa: float = 0.0,
) -> Stepwise:
  """The L2 attack of Carlini and Wagner (2017, 1608.04644, section VI).

  Minimises the squared distance plus `weight` times the margin, with the image as the tanh
  of a variable, by Adam. It is the slowest of the minimum-norm attacks: steps times searches
  forward and backward passes (the authors' code takes up to 10 times as many steps).

  Args:
    threat: the L2 ball. The search itself is not bound by it.
    steps: of Adam for each weight.
    searches: weights that are tried by bisection.
    step_size: of Adam.
    weight: the first one.
    kappa: margin up to which an adversarial image is pushed.

  Raises:
    InputError: an option out of range, or another norm.
  """
  check_threat(threat)
  # The first asks about the clean image.
  whole_number(steps, 2, 'attack.steps')
  whole_number(searches, 1, 'attack.searches')
  above_zero(step_size, 'attack.step_size')
  above_zero(weight, 'attack.weight')
  in_range(kappa, 0, float('inf'), 'attack.kappa')
  if not isinstance(threat, L2):
    raise InputError(
      f'cw_l2 searches in L2, and the ball is {threat}; give an L2 ball, or take '
      'attacks.fab_t (attacks.cw_inf climbs the same margin in any ball)'
    )
  if weight * GROW ** (searches - 1) < 1:
    raise InputError(
      f'attack.searches is {searches}: the weight of the margin grows from {weight:g} to '
      f'{weight * GROW ** (searches - 1):g} at most, too little to leave the clean image, so '
      'that any network would look robust; give more searches, or a weight of 1'
    )

  def begin(points: Points) -> CwState:
    none = Best.none(points.clean)
    still = jnp.zeros_like(points.clean)
    zero = jnp.zeros_like(none.distance)
    weights = (zero + weight, zero, zero + jnp.inf)
    return CwState(*none, still, still, still, *weights, none.fooled, none.fooled)

  def step(logits_fn: LogitsFn, points: Points, state: CwState, i: Array) -> CwState:
    clean, number = points.clean, i % steps
    state = _next_weight(state, (number == 0) & (i > 0))
    root = jnp.arctanh((2 * clean - 1) * INSIDE)
    image = lambda moved: (jnp.tanh(root + moved) + 1) / 2
    each = lambda value: value.reshape(-1, 1, 1, 1)
    images = image(state.moved)

    def loss(images, _):
      logits = ask(logits_fn, images, points.key)
      ahead = losses.margin(unmasked(logits), points.label)
      far = jnp.sum((images - clean) ** 2, axis=(1, 2, 3))
      return far + state.weight * jnp.maximum(kappa - ahead, 0), logits

    # Of the image first: what is no number there is mended before tanh is applied.
    slope, broken, logits = slopes(loss, images, None)
    slope = slope * 2 * images * (1 - images)
    wrong = fools(logits, points.label)
    best = Best.of(state).after(threat, clean, images, wrong)
    first = B1 * state.first + (1 - B1) * slope
    second = B2 * state.second + (1 - B2) * slope**2
    taken = each((number + 1).astype(clean.dtype))
    mean, size = first / (1 - B1**taken), second / (1 - B2**taken)
    moved = state.moved - step_size * mean / (jnp.sqrt(size) + TINY)
    return state._replace(
      **best._asdict(),
      moved=moved,
      first=first,
      second=second,
      succeeded=state.succeeded | wrong,
      not_finite=state.not_finite | broken,
    )

  return Stepwise(
    begin, step, steps * searches, 1, 1, False, forgotten, threat, minimum_norm=True
  )


def _next_weight(state: CwState, rows: Array) -> CwState:
  """The state before another weight is tried, in these rows."""
  yes = state.succeeded
  high = jnp.where(yes, jnp.minimum(state.high, state.weight), state.high)
  low = jnp.where(yes, state.low, jnp.maximum(state.low, state.weight))
  middle = jnp.where(jnp.isinf(high), GROW * state.weight, (low + high) / 2)
  still = jnp.zeros_like(state.moved)
  fresh = state._replace(
    moved=still,
    first=still,
    second=still,
    weight=middle,
    low=low,
    high=high,
    succeeded=jnp.zeros_like(yes),
  )
  return jax.tree.map(lambda new, old: pick(rows, new, old), fresh, state)
