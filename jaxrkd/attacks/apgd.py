"""APGD: projected gradient ascent whose step size needs no tuning."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.apgd_l1 import l1_steps
from jaxrkd.attacks.apgd_loss import LabelObjective, SlopeFn, slope_fn
from jaxrkd.attacks.built_once import built_once
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.starts import STARTS, Start
from jaxrkd.attacks.stepwise import Points, Stepwise, fools, pick
from jaxrkd.attacks.threat import L1, Threat, check_threat
from jaxrkd.errors import InputError, choose, whole_number

Array = jax.Array
# Share of an interval's steps that must raise the loss; weight of the new step against
# the move before it.
RHO, MOMENTUM = 0.75, 0.75


@built_once
def apgd(
  threat: Threat,
  *,
  loss: str | LabelObjective = 'ce',
  steps: int = 100,
  restarts: int = 1,
  eot: int = 1,
  large_eps: bool = False,
  start: str | Start = 'border',
) -> Stepwise:
  """Auto-PGD (Croce & Hein, 2020, 2003.01690, algorithm 1; L1: 2021, 2103.01208).

  Where the loss does not rise often enough between two checkpoints, the step is halved
  and the search goes back to its best point. In L1 a step moves the steepest pixels only,
  whose share follows the sparsity of the best point.

  Args:
    threat: where the images may move.
    loss: 'ce'; 'dlr', which does not saturate and needs 3 classes (2 take the margin);
      'margin'; or an objective of your own, (logits_fn, labels) -> (images -> [B]), also
      with the clean images as a third argument.
    steps: moves; there is one gradient more.
    restarts: runs, each from another start, on the images that still stand.
    eot: see `apgd_loss.slope_fn`.
    large_eps: in L1, begin in balls of 3 and 2 times the radius (30% of the steps each).
    start: a name in `STARTS` or a function (threat, keys, clean) -> images.

  Raises:
    InputError: an option out of range, or large_eps outside L1.
  """
  asked = slope_fn(loss, targeted=False, eot=eot)
  return _apgd(threat, asked, steps, restarts, eot, large_eps, start, targeted=False)


@built_once
def apgd_t(
  threat: Threat,
  *,
  loss: str = 'dlr',
  steps: int = 100,
  targets: int = 9,
  eot: int = 1,
  large_eps: bool = False,
  start: str | Start = 'border',
) -> Stepwise:
  """APGD towards one class after the other (as `apgd`; equation 7 of the paper).

  Args:
    threat: where the images may move.
    loss: of the target: 'dlr', which needs 4 classes (fewer take the margin); 'margin';
      'ce'.
    steps: as in `apgd`, for each target.
    targets: wrong classes to aim at, most likely first; at most all of them.
    eot: see `apgd_loss.slope_fn`.
    large_eps: as in `apgd`.
    start: as in `apgd`; drawn anew for each target.

  Raises:
    InputError: as `apgd`.
  """
  whole_number(targets, 1, 'attack.targets')
  asked = slope_fn(loss, targeted=True, eot=eot)
  return _apgd(threat, asked, steps, targets, eot, large_eps, start, targeted=True)


def checkpoints(steps: int) -> list[int]:
  """After how many moves the step size is looked at: 22, 41, 57, ... of 100."""
  length, shrink = max(int(0.22 * steps), 1), max(int(0.03 * steps), 1)
  least, after, found = max(int(0.06 * steps), 1), 0, []
  while after + length <= steps:
    after += length
    found.append(after)
    length = max(length - shrink, least)
  return found


class ApgdState(NamedTuple):
  """State of APGD in Linf and L2, see `stepwise.State`.

  Attributes:
    fooled, found: as there; before success `found` is the image with the best loss.
    image: the next one to look at.
    previous: the one looked at before it, for the momentum.
    best: with the highest loss so far.
    best_gradient, best_loss: there.
    last_loss: of the last look.
    checked_loss: the best loss at the last checkpoint.
    halved: whether the step was halved there.
    rises: how often the loss rose since.
    step_size: [B, 1, 1, 1].
    not_finite: see `stepwise.State`.
  """

  fooled: Array
  found: Array
  image: Array
  previous: Array
  best: Array
  best_gradient: Array
  best_loss: Array
  last_loss: Array
  checked_loss: Array
  halved: Array
  rises: Array
  step_size: Array
  not_finite: Array


def _apgd(
  threat: Threat,
  asked: SlopeFn,
  steps: int,
  runs: int,
  eot: int,
  large_eps: bool,
  start: str | Start,
  targeted: bool,
) -> Stepwise:
  check_threat(threat)
  whole_number(steps, 1, 'attack.steps')
  whole_number(runs, 1, 'attack.restarts')
  first = choose(STARTS, start, 'start') if isinstance(start, str) else start
  shape = (runs, eot, targeted)
  if isinstance(threat, L1):
    own = l1_steps(threat, asked, steps, large_eps, first)
    return Stepwise(*own, *shape, threat=threat)
  if large_eps:
    raise InputError(
      f'attack.large_eps is on, but the threat set is {threat}; it is a part of APGD in '
      'l1 only, so leave it off'
    )
  # Row i: looks 0 ... steps; the number of moves of an interval where it ends, or 0.
  lengths = np.zeros(steps + 1, np.int32)
  ends = checkpoints(steps)
  lengths[ends] = np.diff([0, *ends])

  def begin(points: Points) -> ApgdState:
    image = first(threat, points.run_key(), points.clean)
    zero = jnp.zeros(points.label.shape, image.dtype)
    no = zero > 0
    size = jnp.full((len(zero), 1, 1, 1), 2 * threat.eps, image.dtype)
    return ApgdState(
      fooled=no,
      found=image,
      image=image,
      previous=image,
      best=image,
      best_gradient=jnp.zeros_like(image),
      best_loss=zero - jnp.inf,
      last_loss=zero,
      checked_loss=zero,
      halved=~no,
      rises=jnp.zeros_like(points.label),
      step_size=size,
      not_finite=no,
    )

  def step(logits_fn: LogitsFn, points: Points, state: ApgdState, i: Array) -> ApgdState:
    seen = asked(logits_fn, points, state.image, i)
    wrong = fools(seen.logits, points.label)
    begun = i == 0
    # The history of the reference begins after the first move, with a comparison to the
    # still empty last row: with a loss of 0.
    rose = ~begun & (seen.values > state.last_loss)
    rises = state.rises + rose.astype(jnp.int32)
    last_loss = pick(begun, jnp.zeros_like(seen.values), seen.values)
    better = begun | (seen.values > state.best_loss)
    best = pick(better, state.image, state.best)
    best_gradient = pick(better, seen.gradient, state.best_gradient)
    best_loss = pick(better, seen.values, state.best_loss)
    checked_loss = pick(begun, best_loss, state.checked_loss)

    length = jnp.asarray(lengths)[i]
    check = length > 0
    # In halves and quarters, which floats hold exactly.
    rare = rises.astype(jnp.float32) <= RHO * length.astype(jnp.float32)
    stuck = ~state.halved & (checked_loss >= best_loss)
    halve = check & (rare | stuck)
    size = jnp.where(halve[:, None, None, None], state.step_size / 2, state.step_size)
    image = pick(halve, best, state.image)
    gradient = pick(halve, best_gradient, seen.gradient)

    clean = points.clean
    aim = threat.project(image + size * threat.steepest(gradient), clean)
    share = jnp.where(begun, 1.0, MOMENTUM).astype(image.dtype)[:, None, None, None]
    drift = (1 - share) * (image - state.previous)
    moved = threat.project(image + share * (aim - image) + drift, clean)
    return ApgdState(
      fooled=wrong,
      found=pick(wrong, state.image, best),
      image=moved,
      previous=image,
      best=best,
      best_gradient=best_gradient,
      best_loss=best_loss,
      last_loss=last_loss,
      checked_loss=pick(check, best_loss, checked_loss),
      halved=pick(check, halve, state.halved),
      rises=pick(check, jnp.zeros_like(rises), rises),
      step_size=size,
      not_finite=state.not_finite | seen.not_finite,
    )

  return Stepwise(begin, step, steps + 1, *shape, threat=threat)
