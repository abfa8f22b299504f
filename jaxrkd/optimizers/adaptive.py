"""Optimisers of optax that scale each step by what they have seen, as rows of a table."""

from collections.abc import Callable
from typing import Any

import optax

from jaxrkd.errors import InputError, above_zero
from jaxrkd.optimizers.parameters import outside_norm
from jaxrkd.optimizers.schedules import Schedule

# A larger rate is one of SGD, with which these diverge or stand still.
MOST = 0.05


def adamw(
  schedule: Schedule,
  b1: float = 0.9,
  b2: float = 0.999,
  eps: float = 1e-8,
  weight_decay: float = 1e-4,
  decay_norm: bool = True,
) -> optax.GradientTransformation:
  """`optax.adamw` (Loshchilov & Hutter, 1711.05101); weight decay is apart from the slope.

  Args:
    schedule: the rate.
    b1: memory of the mean of gradients.
    b2: memory of the mean of their squares.
    eps: added to the root of the latter.
    weight_decay: times the rate, on every parameter.
    decay_norm: also on the scales and biases of BatchNorm.

  Raises:
    InputError: an option out of range, or a schedule that is made for SGD.
  """
  return _built(optax.adamw, schedule, weight_decay, decay_norm, b1=b1, b2=b2, eps=eps)


def adam(
  schedule: Schedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
  """`optax.adam` (Kingma & Ba, 1412.6980); arguments as `adamw`."""
  return _built(optax.adam, schedule, None, True, b1=b1, b2=b2, eps=eps)


def lamb(
  schedule: Schedule,
  b1: float = 0.9,
  b2: float = 0.999,
  eps: float = 1e-6,
  weight_decay: float = 1e-4,
  decay_norm: bool = True,
) -> optax.GradientTransformation:
  """`optax.lamb` for large batches (You et al., 1904.00962); arguments as `adamw`."""
  return _built(optax.lamb, schedule, weight_decay, decay_norm, b1=b1, b2=b2, eps=eps)


def lion(
  schedule: Schedule,
  b1: float = 0.9,
  b2: float = 0.99,
  weight_decay: float = 1e-3,
  decay_norm: bool = True,
) -> optax.GradientTransformation:
  """`optax.lion` (Chen et al., 2302.06675); arguments as `adamw`."""
  return _built(optax.lion, schedule, weight_decay, decay_norm, b1=b1, b2=b2)


def rmsprop(
  schedule: Schedule, decay: float = 0.9, eps: float = 1e-8, momentum: float = 0.0
) -> optax.GradientTransformation:
  """`optax.rmsprop`.

  Args:
    schedule: the rate.
    decay: memory of the mean of squared gradients.
    eps: added to its root.
    momentum: share of the buffer that stays; 0 has none.

  Raises:
    InputError: as `adamw`.
  """
  return _built(
    optax.rmsprop, schedule, None, True, decay=decay, eps=eps, momentum=momentum
  )


def _built(
  make: Callable[..., optax.GradientTransformation],
  schedule: Schedule,
  weight_decay: float | None,
  decay_norm: bool,
  **options: float,
) -> optax.GradientTransformation:
  name = make.__name__
  for option in ('b1', 'b2', 'decay', 'momentum'):
    if not 0 <= options.get(option, 0) < 1:
      raise InputError(
        f'optimizer.{option} is {options[option]}; it must be from 0 to below 1'
      )
  if 'eps' in options:
    above_zero(options['eps'], 'optimizer.eps')
  if schedule.momentum is not None:
    raise InputError(
      f'the schedule moves momentum along with the rate, but {name} has no momentum to '
      'move; take optimizer.name=sgd, or another schedule'
    )
  if schedule.peak > MOST:
    raise InputError(
      f'schedule.peak is {schedule.peak:g}, a rate of SGD, at which {name} diverges; '
      'give a lower one, such as --config.schedule.peak=0.001'
    )
  more: dict[str, Any] = {}
  if weight_decay is not None:
    if not weight_decay >= 0:
      raise InputError(f'optimizer.weight_decay is {weight_decay}; it must be 0 or more')
    more = {'weight_decay': weight_decay, 'mask': None if decay_norm else outside_norm}
  if options.get('momentum') == 0:
    more['momentum'] = None
  return make(schedule.rate, **{**options, **more})
