"""MeanSparse: activations near their mean become the mean (Amini et al., 2024, 2406.05927)."""

import jax
import jax.numpy as jnp
from flax import nnx


class MeanSparse(nnx.Module):
  """x, and where it is within `threshold` deviations of its channel's mean, that mean.

  Mean, variance and threshold are measured after training and come with a file; as built,
  the threshold is 0 and nothing changes. What became the mean has no slope, so that attacks
  by gradients see less of these networks: let the trust checks and Square look, too.

  Args:
    features: length of the last axis.
  """

  def __init__(self, features: int):
    self.mean = nnx.BatchStat(jnp.zeros(features))
    self.var = nnx.BatchStat(jnp.zeros(features))
    self.threshold = nnx.BatchStat(jnp.zeros(()))

  def __call__(self, x: jax.Array) -> jax.Array:
    mean = self.mean[...].astype(x.dtype)
    reach = (self.threshold[...] * jnp.sqrt(self.var[...])).astype(x.dtype)
    return jnp.where(jnp.abs(x - mean) < reach, mean, x)
