"""The point of a small simplex's image that is nearest to a target, exactly."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import InputError

Array = jax.Array
# 2^n - 1 faces are solved; beyond this an iteration would be cheaper.
MOST = 8


def nearest_mixture(corners: Array, target: Array) -> Array:
  """argmin over the simplex of |target - sum_i lambda_i corners_i|^2, per row.

  Some optimum lies inside a face whose corners are affinely independent, where it is the
  unconstrained minimum over the face's plane. So every face is solved and the best of
  the results, brought into the simplex, is taken: exact also where corners coincide or
  the target lies in their hull, as the singular faces then are not needed.

  Args:
    corners: [n, ..., C], n from 1 to `MOST`.
    target: [..., C].

  Returns:
    [n, ...], at least 0 and summing to 1. No gradient reaches it.

  Raises:
    InputError: more than `MOST` corners.
  """
  count = corners.shape[0]
  if count > MOST:
    raise InputError(
      f'there are {count} corners, but every face of the simplex is solved; give at most '
      f'{MOST}'
    )
  corners, target = jax.lax.stop_gradient((corners, target))
  points = jnp.moveaxis(corners, 0, -2)
  # From the difference to one corner of the face, never from |a|^2 - 2ab + |b|^2, which
  # loses all digits where the corners are close.
  edges = points[..., None, :, :] - points[..., :, None, :]  # [..., origin, corner, C]
  gram = _einsum('...oic,...ojc->...oij', edges, edges)
  reach = _einsum('...oic,...oc->...oi', edges, target[..., None, :] - points)
  faces = np.array([f for f in itertools.product((0, 1), repeat=count) if any(f)])
  # Corners alone come first, in order, so that ties go to one network.
  faces = faces[::-1][np.argsort(faces[::-1].sum(1), kind='stable')]
  origin = faces.argmax(1)
  free = faces.astype(bool)
  free[np.arange(len(faces)), origin] = False
  both = free[:, :, None] & free[:, None, :]
  # Unit diagonal: edges of very different lengths are then solved equally well.
  length = jnp.sqrt(jnp.diagonal(gram, axis1=-2, axis2=-1))
  length = jnp.where(length > 0, length, 1)[..., origin, :]
  system = gram[..., origin, :, :] / (length[..., :, None] * length[..., None, :])
  system = jnp.where(both, system, jnp.eye(count, dtype=system.dtype))
  right = jnp.where(free, reach[..., origin, :] / length, 0)
  inner = jnp.linalg.solve(system, right[..., None])[..., 0] / length
  rest = 1 - jnp.sum(inner, -1, keepdims=True)
  weights = jnp.where(jax.nn.one_hot(origin, count, dtype=bool), rest, inner)
  weights = jnp.maximum(jnp.where(jnp.isfinite(weights), weights, 0), 0)
  total = jnp.sum(weights, -1, keepdims=True)
  corner = jax.nn.one_hot(origin, count, dtype=weights.dtype)
  weights = jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), corner)
  # target - sum_i w_i p_i = sum_i w_i (target - p_i): small where all are close.
  off = _einsum('...fi,...ic->...fc', weights, target[..., None, :] - points)
  best = jnp.argmin(jnp.sum(off * off, -1), -1)
  chosen = jnp.take_along_axis(weights, best[..., None, None], axis=-2)[..., 0, :]
  return jnp.moveaxis(chosen, -1, 0)


def _einsum(pattern: str, left: Array, right: Array) -> Array:
  # Accelerators otherwise round products to 8 or 10 bits, which costs the optimum.
  return jnp.einsum(pattern, left, right, precision='highest')
