"""Optimisers, learning-rate schedules and weight averaging, all made of optax."""

from jaxrkd.optimizers.ema import check_decay, update_average
from jaxrkd.optimizers.schedules import SCHEDULES, Schedule
from jaxrkd.optimizers.sgd import sgd, weight_sgd

__all__ = [
  'SCHEDULES',
  'Schedule',
  'check_decay',
  'sgd',
  'update_average',
  'weight_sgd',
]
