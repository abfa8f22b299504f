"""Learning rates as functions of the update count.

A schedule is one function here plus one row in `SCHEDULES`:
(epochs, steps_per_epoch, **options) -> (update count -> rate).
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import optax

from jaxrkd.errors import InputError, one_of


@dataclasses.dataclass(frozen=True)
class Schedule:
  """A learning rate and, where the schedule cycles it too, a momentum.

  Attributes:
    rate: update count -> learning rate.
    peak: largest rate; method weights decay as rate / peak.
    momentum: update count -> momentum, or None for the optimiser's constant.
  """

  rate: optax.Schedule
  peak: float
  momentum: optax.Schedule | None = None


def _check_peak(peak: float) -> None:
  if not peak > 0:
    raise InputError(f'schedule.peak is {peak}; the learning rate must be above 0')


def milestones(
  epochs: int,
  steps_per_epoch: int,
  peak: float = 0.1,
  milestones: tuple[float, ...] = (),
  factor: float = 0.1,
  milestone_offset: int = 1,
  lr_bug: bool = False,
) -> Schedule:
  """Multiplies the rate by `factor` at each milestone.

  Args:
    epochs: length of the run.
    steps_per_epoch: updates per epoch.
    peak: first rate.
    milestones: epochs, counted from 1.
    factor: of each drop.
    milestone_offset: 1 lowers the rate after finishing the named epoch, as RSLAD and
      MTARD do; 0 before it, as TRADES and MART do.
    lr_bug: every drop starts from the first rate, so that all after the first have no
      effect, as in the released code of ARD and IAD.
  """
  del epochs
  _check_peak(peak)
  one_of(milestone_offset, (0, 1), 'schedule.milestone_offset')
  for epoch in milestones:
    if not isinstance(epoch, int | float) or not epoch > 0:
      raise InputError(
        f'schedule.milestones has {epoch!r}; give epochs, such as (75, 90)'
      )
  kept = sorted(milestones)[:1] if lr_bug else milestones
  bounds = [round((k - 1 + milestone_offset) * steps_per_epoch) for k in kept]
  return Schedule(
    optax.piecewise_constant_schedule(peak, dict.fromkeys(bounds, factor)), peak
  )


def cosine(
  epochs: int,
  steps_per_epoch: int,
  peak: float = 0.1,
  unit: str = 'epoch',
  warmup_epochs: float = 0.0,
  final: float = 0.0,
) -> Schedule:
  """Half a cosine from `peak` to `final`, after a linear warm-up from 0.

  Args:
    epochs: length of the run.
    steps_per_epoch: updates per epoch.
    peak: largest rate.
    unit: 'epoch' holds the rate during an epoch (MMARD), 'step' moves it every update.
    warmup_epochs: length of the warm-up.
    final: rate at the end.
  """
  _check_peak(peak)
  one_of(unit, ('epoch', 'step'), 'schedule.unit')
  if not 0 <= warmup_epochs < epochs:
    raise InputError(
      f'schedule.warmup_epochs is {warmup_epochs}; it must be from 0 to below {epochs}'
    )

  def rate(count):
    time = count / steps_per_epoch
    if unit == 'epoch':
      time = jnp.floor(time)
    share = jnp.clip((time - warmup_epochs) / (epochs - warmup_epochs), 0, 1)
    falling = final + (peak - final) * 0.5 * (1 + jnp.cos(jnp.pi * share))
    if not warmup_epochs:
      return falling
    return jnp.where(time < warmup_epochs, peak * time / warmup_epochs, falling)

  return Schedule(rate, peak)


def one_cycle(
  epochs: int,
  steps_per_epoch: int,
  peak: float = 0.21,
  rise: float = 0.3,
  start_divisor: float = 25.0,
  final_divisor: float = 1e4,
  cycle_momentum: bool = True,
  momentum_range: tuple[float, float] = (0.85, 0.95),
) -> Schedule:
  """Cosine up, cosine down, every update, as PyTorch's OneCycleLR.

  Smith & Topin, 2017, arXiv:1708.07120; the student's schedule in AKD.

  Args:
    epochs: length of the run.
    steps_per_epoch: updates per epoch.
    peak: largest rate.
    rise: share of the run that rises.
    start_divisor: the first rate is peak / start_divisor.
    final_divisor: the last rate is peak / start_divisor / final_divisor.
    cycle_momentum: move the momentum against the rate.
    momentum_range: its smallest and largest value.
  """
  _check_peak(peak)
  total = epochs * steps_per_epoch
  top = rise * total - 1
  if not 0 < top < total - 1:
    raise InputError(
      f'a one-cycle schedule of {total} updates with schedule.rise {rise} has no rising '
      'or no falling part; train longer or choose rise between 0 and 1'
    )
  start, end = peak / start_divisor, peak / start_divisor / final_divisor

  def cycle(count, low, high, last):
    up = jnp.clip(count / top, 0, 1)
    down = jnp.clip((count - top) / (total - 1 - top), 0, 1)
    rising = high + 0.5 * (low - high) * (1 + jnp.cos(jnp.pi * up))
    falling = last + 0.5 * (high - last) * (1 + jnp.cos(jnp.pi * down))
    return jnp.where(count <= top, rising, falling)

  momentum = None
  if cycle_momentum:
    low, high = momentum_range
    momentum = lambda count: cycle(count, high, low, high)
  return Schedule(lambda count: cycle(count, start, peak, end), peak, momentum)


def exponential(
  epochs: int, steps_per_epoch: int, peak: float = 0.1, factor: float = 0.9
) -> Schedule:
  """Multiplies the rate by `factor` after every epoch (AKD's teachers).

  Args:
    epochs: of the training.
    steps_per_epoch: updates in each.
    peak: the first rate.
    factor: what the rate is multiplied by.
  """
  del epochs
  _check_peak(peak)
  return Schedule(
    optax.exponential_decay(peak, steps_per_epoch, factor, staircase=True), peak
  )


def triangular(epochs: int, steps_per_epoch: int, peak: float = 0.2) -> Schedule:
  """Straight from 0 up to `peak` at half time and down to 0, every update (fast AT).

  Args:
    epochs: of the training.
    steps_per_epoch: updates in each.
    peak: the highest rate.
  """
  _check_peak(peak)
  half = epochs * steps_per_epoch / 2

  def rate(count):
    return peak * jnp.clip(1 - jnp.abs(count / half - 1), 0, 1)

  return Schedule(rate, peak)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
  'milestones': milestones,
  'cosine': cosine,
  'one_cycle': one_cycle,
  'exponential': exponential,
  'triangular': triangular,
}
