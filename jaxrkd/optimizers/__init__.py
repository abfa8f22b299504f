"""Optimisers, learning-rate schedules and weight averaging, all made of optax.

An optimiser is one function here plus one row in `OPTIMIZERS`: (schedule, **options) -> an
optax transformation. A schedule has a row in `SCHEDULES`.
"""

from collections.abc import Callable

import optax

from jaxrkd.optimizers.adaptive import adam, adamw, lamb, lion, rmsprop
from jaxrkd.optimizers.ema import check_decay, update_average
from jaxrkd.optimizers.schedules import SCHEDULES, Schedule
from jaxrkd.optimizers.sgd import sgd, weight_sgd

OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
  'sgd': sgd,
  'adamw': adamw,
  'adam': adam,
  'lamb': lamb,
  'lion': lion,
  'rmsprop': rmsprop,
}

__all__ = [
  'OPTIMIZERS',
  'SCHEDULES',
  'Schedule',
  'check_decay',
  'sgd',
  'update_average',
  'weight_sgd',
]
