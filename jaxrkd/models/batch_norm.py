"""The one BatchNorm of all networks, with PyTorch's running variance.

PyTorch normalises with the biased batch variance but stores the unbiased one; Flax
stores the biased one. Attacks in evaluation mode read the stored one, so the two
frameworks train different networks from the second step on.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.errors import in_range, one_of

Array = jax.Array

_rows: contextvars.ContextVar[Array | None] = contextvars.ContextVar('rows', default=None)


@contextlib.contextmanager
def counted_rows(mask: Array | None) -> Iterator[None]:
  """Within this scope batch statistics count only rows where `mask` is 1.

  This is how a padded last batch gives the statistics of its real images alone. The
  scope is entered while tracing; it reaches every BatchNorm of the network without each
  module in between passing the mask on.

  Args:
    mask: [B] of 0 and 1, or None to count every row.
  """
  token = _rows.set(mask)
  try:
    yield
  finally:
    _rows.reset(token)


def rows_counted() -> Array | None:
  """The mask of the scope that is entered, for what is traced outside of it later."""
  return _rows.get()


class BatchNorm(nnx.Module):
  """Normalises the last axis over all others (Ioffe & Szegedy, 2015).

  Statistics are computed and kept in the parameters' type (float32, or float64 under
  x64) whatever the compute type. `Module.train()` and `Module.eval()` switch between
  batch and running statistics, as for `nnx.BatchNorm`.

  Args:
    features: length of the last axis.
    momentum: share of the old running value that stays (PyTorch's 0.1 is 0.9 here).
    epsilon: added to the variance.
    variance: 'unbiased' stores n / (n - 1) times the batch variance, as PyTorch does;
      'biased' stores it as it is, as Flax does.
  """

  def __init__(
    self,
    features: int,
    *,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    variance: str = 'unbiased',
  ):
    one_of(variance, ('unbiased', 'biased'), 'bn_variance')
    in_range(momentum, 0, 1, 'bn_momentum')
    self.scale = nnx.Param(jnp.ones(features))
    self.bias = nnx.Param(jnp.zeros(features))
    self.mean = nnx.BatchStat(jnp.zeros(features))
    self.var = nnx.BatchStat(jnp.ones(features))
    self.momentum = momentum
    self.epsilon = epsilon
    self.variance = variance
    self.use_running_average = False
    # Set by `fold.py`: the scale is in the convolution before, only the shift is left.
    self.folded = False

  def __call__(self, x: Array) -> Array:
    """Normalises x, [B, ..., features]; in training mode moves the running values."""
    if self.folded:
      return x + self.bias[...].astype(x.dtype)
    if self.use_running_average:
      mean, var = self.mean[...], self.var[...]
    else:
      mean, var, count = self._batch_statistics(x)
      stored = var
      if self.variance == 'unbiased':
        stored = var * (count / jnp.maximum(count - 1, 1))
      # Set as a whole: `[...] =` would ask tracers for shardings, in time quadratic in depth.
      self.mean.set_value(self._moved(self.mean[...], mean))
      self.var.set_value(self._moved(self.var[...], stored))
    scale = self.scale[...] * jax.lax.rsqrt(var + self.epsilon)
    shift = self.bias[...] - mean * scale
    return (x.astype(scale.dtype) * scale + shift).astype(x.dtype)

  def _moved(self, old: Array, new: Array) -> Array:
    new = jax.lax.stop_gradient(new)
    return self.momentum * old + (1 - self.momentum) * new

  def _batch_statistics(self, x: Array) -> tuple[Array, Array, Array]:
    """Mean and biased variance over all axes but the last, and the number averaged."""
    x = x.astype(self.mean[...].dtype)
    axes = tuple(range(x.ndim - 1))
    mask = _rows.get()
    if mask is None:
      count = jnp.asarray(x.size // x.shape[-1], x.dtype)
      total, squares = jnp.sum(x, axes), jnp.sum(x * x, axes)
    else:
      weight = mask.astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))
      per_row = x.size // x.shape[-1] // x.shape[0]
      count = jnp.maximum(jnp.sum(weight), 1) * per_row
      total, squares = jnp.sum(x * weight, axes), jnp.sum(x * x * weight, axes)
    mean = total / count
    return mean, jnp.maximum(squares / count - mean * mean, 0), count
