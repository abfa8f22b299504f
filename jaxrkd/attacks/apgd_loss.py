"""What APGD raises, and its gradient: losses of the logits, or an objective of your own."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.attacks.objectives import (
  LogitsFn,
  Objective,
  check_values,
  of_images,
  unmasked,
)
from jaxrkd.attacks.slopes import finite
from jaxrkd.attacks.stepwise import Points, Randomised, ask
from jaxrkd.errors import InputError, choose

Array = jax.Array
# (logits_fn, labels) -> objective: what adaptive attacks supply.
LabelObjective = Callable[[LogitsFn, Array], Objective]
# (logits, labels, targets) -> [B].
LogitLoss = Callable[[Array, Array, Array], Array]


def _dlr(logits: Array, labels: Array, targets: Array) -> Array:
  # It divides by the gap between the first and the third logit.
  if logits.shape[-1] < 3:
    return losses.margin(logits, labels)
  return losses.dlr(logits, labels)


def _targeted_dlr(logits: Array, labels: Array, targets: Array) -> Array:
  # It needs the fourth logit too.
  if logits.shape[-1] < 4:
    return losses.targeted_margin(logits, labels, targets)
  return losses.targeted_dlr(logits, labels, targets)


LOSSES: dict[str, LogitLoss] = {
  'ce': lambda logits, labels, targets: losses.cross_entropy(logits, labels),
  'dlr': _dlr,
  'margin': lambda logits, labels, targets: losses.margin(logits, labels),
}
TARGETED: dict[str, LogitLoss] = {
  'ce': lambda logits, labels, targets: -losses.cross_entropy(logits, targets),
  'dlr': _targeted_dlr,
  'margin': losses.targeted_margin,
}


class Slope(NamedTuple):
  """What one look at the network says.

  Attributes:
    logits: [B, classes].
    values: [B], the loss.
    gradient: [B, H, W, C], of the loss; 0 where it is no number.
    not_finite: [B], where it had such entries.
  """

  logits: Array
  values: Array
  gradient: Array
  not_finite: Array


# (logits_fn, points, images, step [B]) -> Slope.
SlopeFn = Callable[[LogitsFn, Points, Array, Array], Slope]


def slope_fn(loss: str | LabelObjective, targeted: bool, eot: int) -> SlopeFn:
  """Builds the function that asks for a loss and its gradient.

  Args:
    loss: a name in `LOSSES` (targeted: in `TARGETED`), or an objective of one's own; see
      `objectives.of_images`.
    targeted: whether the loss is of a target class.
    eot: draws of a `Randomised` classifier that the gradient is the mean of (expectation
      over transformation); loss and prediction are the last draw's.

  Raises:
    InputError: an unknown loss, an objective of one's own for targets, eot below 1.
  """
  if eot < 1:
    raise InputError(f'attack.eot is {eot}; it must be at least 1')
  if callable(loss) and targeted:
    raise InputError(
      'an objective of your own has no target class; give it to apgd, not to apgd_t'
    )
  table = TARGETED if targeted else LOSSES
  of_logits = None if callable(loss) else choose(table, loss, 'attack.loss')

  def once(logits_fn: LogitsFn, points: Points, images: Array, keys: Array) -> Slope:
    def total(x):
      logits = ask(logits_fn, x, keys)
      if of_logits is not None:
        values = of_logits(unmasked(logits), points.label, points.target)
      else:
        assert callable(loss)
        # The compiler merges this pass through the network with the one above.
        inside = lambda x: ask(logits_fn, x, keys)
        raised = of_images(loss, inside, points.label, points.clean)
        check_values(raised, x)
        values = raised(x)
      # A loss that is no number must not pass for the best so far.
      return values.sum(), (logits, jnp.where(jnp.isnan(values), -jnp.inf, values))

    gradient, (logits, values) = jax.grad(total, has_aux=True)(images)
    return Slope(logits, values, *finite(gradient))

  def looked(logits_fn: LogitsFn, points: Points, images: Array, step: Array) -> Slope:
    if not isinstance(logits_fn, Randomised):
      return once(logits_fn, points, images, points.key)
    keys = jax.vmap(jax.random.fold_in)(points.run_key(), step)

    def draw(number, mean):
      own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
      found = once(logits_fn, points, images, own)
      return found._replace(
        gradient=mean.gradient + found.gradient / eot,
        not_finite=mean.not_finite | found.not_finite,
      )

    shapes = jax.eval_shape(lambda: once(logits_fn, points, images, keys))
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return jax.lax.fori_loop(0, eot, draw, zero)

  return looked
