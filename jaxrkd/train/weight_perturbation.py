"""AWP: gradients are taken where the weights, too, have been moved to raise the loss.

Wu et al., Adversarial Weight Perturbation Helps Robust Generalization, NeurIPS 2020.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd.errors import in_range, whole_number

Array = jax.Array
Tree = Any
# Keeps a weight whose gradient is 0 where it is.
TINY = 1e-20


@dataclasses.dataclass(frozen=True)
class WeightPerturbation:
  """How far weights move, and from when on.

  v = gamma |w| g / |g| for every kernel, with norms over the whole tensor; scales and biases
  stay. Then the student's step is taken with the gradient, BatchNorm and weight decay of
  w + v, from w.

  Args:
    gamma: length of the move relative to that of the weight.
    warmup: epochs before the first move.

  Raises:
    InputError: a negative gamma, or a warm-up that is no whole number.
  """

  gamma: float
  warmup: int = 0

  def __post_init__(self):
    in_range(self.gamma, 0, float('inf'), 'awp.gamma')
    whole_number(self.warmup, 0, 'awp.warmup')

  def __call__(
    self, gradient: Callable[[Tree], Tree], params: Tree, epoch: Array
  ) -> Tree:
    """The weights at which to take the gradient of an update.

    Args:
      gradient: weights -> gradient of the loss.
      params: the weights.
      epoch: from 0.
    """

    def moved(params: Tree) -> Tree:
      return jax.tree.map(self._moved, params, gradient(params))

    if not self.warmup:
      return moved(params)
    return jax.lax.cond(epoch >= self.warmup, moved, lambda params: params, params)

  def _moved(self, weight: Array, slope: Array) -> Array:
    if weight.ndim < 2:
      return weight
    length = jnp.linalg.norm(weight.ravel())
    unit = slope / (jnp.linalg.norm(slope.ravel()) + TINY)
    return weight + self.gamma * length * unit
