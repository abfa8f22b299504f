"""MeanSparse: activations near their mean become the mean (Amini et al., 2024, 2406.05927)."""

import jax
import jax.numpy as jnp
from flax import nnx

# What results of such networks say.
HIDES = (
  'MeanSparse hides gradients from attacks, so that its robust accuracy may be too high: '
  'measure it with student.straight_through=false and with true, and believe the lower number'
)


class MeanSparse(nnx.Module):
  """x, and where it is within `threshold` deviations of its channel's mean, that mean.

  Mean, variance and threshold are measured after training and come with a file; as built,
  the threshold is 0 and nothing changes. What became the mean has no gradient, so that
  attacks by gradients see less of these networks. Neither choice of `straight_through` is
  the stronger attack on all images; logits are the same with both.

  Args:
    features: length of the last axis.
    straight_through: gradients pass as if nothing had become the mean (BPDA: Athalye et
      al., 2018, arXiv:1802.00420).
  """

  def __init__(self, features: int, straight_through: bool = False):
    self.note, self.straight_through = HIDES, straight_through
    self.mean = nnx.BatchStat(jnp.zeros(features))
    self.var = nnx.BatchStat(jnp.zeros(features))
    self.threshold = nnx.BatchStat(jnp.zeros(()))

  def __call__(self, x: jax.Array) -> jax.Array:
    mean = self.mean[...].astype(x.dtype)
    reach = (self.threshold[...] * jnp.sqrt(self.var[...])).astype(x.dtype)
    flat = mean
    if self.straight_through:
      flat = mean + (x - jax.lax.stop_gradient(x))
    return jnp.where(jnp.abs(x - mean) < reach, flat, x)
