"""MeanSparse: activations near their mean become the mean (Amini et al., 2024, 2406.05927)."""

import jax
import jax.numpy as jnp
from flax import nnx

# What results of such networks say.
FLAT = (
  'MeanSparse hides slopes from attacks by gradients, so that its robust accuracy may be too '
  'high; convert the file again with --config.student.zone_slope=1 into another run, measure '
  'that, too, and believe the lower number'
)


class MeanSparse(nnx.Module):
  """x, and where it is within `threshold` deviations of its channel's mean, that mean.

  Mean, variance and threshold are measured after training and come with a file; as built,
  the threshold is 0 and nothing changes. What became the mean has no slope, so that attacks
  by gradients see less of these networks. A slope of 1 shows them the network that is below
  (BPDA: Athalye et al., 2018, arXiv:1802.00420); logits are the same with every slope.

  Args:
    features: length of the last axis.
    slope: of what became the mean, in gradients.
  """

  def __init__(self, features: int, slope: float = 0.0):
    self.slope = slope
    self.mean = nnx.BatchStat(jnp.zeros(features))
    self.var = nnx.BatchStat(jnp.zeros(features))
    self.threshold = nnx.BatchStat(jnp.zeros(()))

  def __call__(self, x: jax.Array) -> jax.Array:
    mean = self.mean[...].astype(x.dtype)
    reach = (self.threshold[...] * jnp.sqrt(self.var[...])).astype(x.dtype)
    flat = mean
    if self.slope:
      flat = mean + self.slope * (x - jax.lax.stop_gradient(x))
    return jnp.where(jnp.abs(x - mean) < reach, flat, x)
