"""The kernel by which the particles of one image pull and push each other."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import InputError, one_of

Array = jax.Array
# Squared distances [..., n, n] and the number of pixels -> sigma^2, [..., 1, 1] or scalar.
Bandwidth = Callable[[Array, int], Array]
BANDWIDTHS = ('median', 'fixed', 'scaled')


def bandwidth(kind: str, sigma: float) -> Bandwidth:
  """How wide the Gaussian kernel exp(-d^2 / (2 sigma^2)) is.

  Args:
    kind: 'median' takes sigma^2 = median_{i<j} d_ij^2 / (2 log(n + 1)) of each image
      (Liu & Wang, 2016, 1608.04471) and multiplies that width by `sigma`; 'fixed' is
      `sigma` in [0, 1] pixels over the whole image; 'scaled' is `sigma` per pixel, that
      is sigma times the square root of their number.
    sigma: see `kind`; infinity makes all particles follow the mean gradient.

  Raises:
    InputError: an unknown kind, or sigma is not above 0.
  """
  one_of(kind, BANDWIDTHS, 'attack.bandwidth')
  if not sigma > 0:
    raise InputError(f'attack.sigma is {sigma}; it must be above 0')

  def variance(squared: Array, pixels: int) -> Array:
    # Particles that coincide do not push each other, however narrow the kernel is.
    tiny = jnp.finfo(squared.dtype).tiny ** 0.5
    if np.isinf(sigma):
      return jnp.asarray(jnp.inf, squared.dtype)
    if kind != 'median':
      wide = sigma**2 * (pixels if kind == 'scaled' else 1)
      return jnp.maximum(jnp.asarray(wide, squared.dtype), tiny)
    count = squared.shape[-1]
    rows, columns = np.triu_indices(count, 1)
    if not len(rows):
      return jnp.ones((), squared.dtype)
    middle = jnp.median(squared[..., rows, columns], axis=-1)[..., None, None]
    return jnp.maximum(sigma**2 * middle / (2 * np.log(count + 1)), tiny)

  return variance


def gaussian(particles: Array, width: Bandwidth) -> tuple[Array, Array]:
  """The kernel between the particles of each image, and its push.

  Args:
    particles: [B, n, D].
    width: see `bandwidth`.

  Returns:
    k [B, n, n], symmetric; and [B, n, D], sum_j grad_{x_j} k(x_j, x_i), which points away
    from the other particles.
  """
  # From differences: |a|^2 - 2ab + |b|^2 would leave rounding errors on the diagonal that
  # a narrow kernel blows up.
  away = particles[:, :, None] - particles[:, None]  # x_i - x_j
  squared = jnp.sum(away * away, -1)
  variance = width(squared, particles.shape[-1])
  k = jnp.exp(-squared / (2 * variance))
  # Not at the reduced precision that accelerators use by default: signs depend on it.
  push = jnp.einsum('bij,bijd->bid', k / variance, away, precision='highest')
  return k, push
