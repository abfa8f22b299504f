"""SGD as PyTorch computes it, and the plain SGD that moves a method's weights."""

import optax

from jaxrkd.errors import InputError
from jaxrkd.optimizers.parameters import outside_norm
from jaxrkd.optimizers.schedules import Schedule


def sgd(
  schedule: Schedule,
  momentum: float = 0.9,
  weight_decay: float = 2e-4,
  nesterov: bool = False,
  decay_norm: bool = True,
) -> optax.GradientTransformation:
  """g + wd * theta, then the momentum buffer, then the rate, which stays outside it.

  Args:
    schedule: rate, and momentum where it cycles.
    momentum: share of the buffer that stays.
    weight_decay: on every parameter, as in PyTorch.
    nesterov: look ahead by one step of the buffer.
    decay_norm: also on the scales and biases of BatchNorm; DeepMind's AT+ leaves them out.

  Raises:
    InputError: momentum or weight decay out of range.
  """
  if not 0 <= momentum < 1:
    raise InputError(f'optimizer.momentum is {momentum}; it must be from 0 to below 1')
  if not weight_decay >= 0:
    raise InputError(f'optimizer.weight_decay is {weight_decay}; it must be 0 or more')
  if schedule.momentum is None:
    buffer = optax.trace(momentum, nesterov)
  else:
    buffer = optax.inject_hyperparams(optax.trace, static_args=('nesterov',))(
      decay=schedule.momentum, nesterov=nesterov
    )
  return optax.chain(
    optax.add_decayed_weights(weight_decay, None if decay_norm else outside_norm),
    buffer,
    optax.scale_by_learning_rate(schedule.rate),
  )


def weight_sgd(
  rate: float, decays: bool, schedule: Schedule
) -> optax.GradientTransformation:
  """`optax.sgd` for a method's weights; the rate can fall with the student's."""
  if not decays:
    return optax.sgd(rate)
  return optax.sgd(lambda count: rate * schedule.rate(count) / schedule.peak)
