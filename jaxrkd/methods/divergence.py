"""KL terms with the scale and reduction that each author's code uses."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import in_range, one_of
from jaxrkd.methods.base import Batch, batch_mean

Array = jax.Array
REDUCTIONS = ('batch_mean', 'element_mean')
DISTANCES = {'class_sum': jnp.sum, 'class_mean': jnp.mean}


@dataclasses.dataclass(frozen=True)
class Divergence:
  """scale * mean KL(target || student).

  Args:
    reduction: 'batch_mean' sums over classes and averages over images; 'element_mean'
      divides by the number of classes too, as PyTorch's `KLDivLoss` does by default.
    scale: factor.
    epsilon: added inside the logarithm of the target; see `losses.kl`.

  Raises:
    InputError: an unknown reduction, a negative scale or epsilon.
  """

  reduction: str = 'batch_mean'
  scale: float = 1.0
  epsilon: float = 0.0

  def __post_init__(self):
    one_of(self.reduction, REDUCTIONS, 'method.kl_reduction')
    for name, value in (('kl_scale', self.scale), ('kl_epsilon', self.epsilon)):
      in_range(value, 0, float('inf'), f'method.{name}')

  def _mean(self, values: Array, classes: int, batch: Batch) -> Array:
    mean = self.scale * batch_mean(values, batch)
    return mean / classes if self.reduction == 'element_mean' else mean

  def __call__(
    self, target: Array, logits: Array, batch: Batch, weight: Array | float = 1.0
  ) -> Array:
    """A scalar; `target` [B, C] are logits, `weight` [B] multiplies each image."""
    values = weight * losses.kl(target, logits, epsilon=self.epsilon)
    return self._mean(values, logits.shape[-1], batch)

  def to_probs(self, probs: Array, logits: Array, batch: Batch) -> Array:
    """The same for a target given as probabilities [B, C]."""
    values = losses.kl_to_probs(probs, logits, epsilon=self.epsilon)
    return self._mean(values, logits.shape[-1], batch)


def squared_distance(reduction: str) -> Callable[[Array, Array], Array]:
  """|z - z'|^2 per image, of logits [..., classes].

  Args:
    reduction: 'class_sum', or 'class_mean' to divide by the number of classes.

  Raises:
    InputError: an unknown reduction.
  """
  one_of(reduction, tuple(DISTANCES), 'method.mse_reduction')
  reduce = DISTANCES[reduction]
  return lambda one, other: reduce((one - other) ** 2, axis=-1)
