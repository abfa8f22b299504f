"""Gradients that an attack can follow, also where entries are no finite numbers.

The square root of a black pixel, a division by the deviation of an even image: one entry
that is not finite would turn the step, the image and the verdict into nothing, and what
cannot be attacked looks robust.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Tree = Any


def nowhere(images: Array) -> Array:
  """No image so far, [B]."""
  return jnp.zeros(images.shape[0], bool)


def finite(gradient: Tree) -> tuple[Tree, Array]:
  """The gradient as numbers, and where some were none, [B].

  An infinite entry keeps its sign, with the size of the largest finite one of its image;
  one that is not even that becomes 0. All others stay as they are.

  Args:
    gradient: a tree of arrays [B, ...].
  """
  leaves, shape = jax.tree.flatten(gradient)
  found, broken = zip(*map(_finite, leaves))
  return jax.tree.unflatten(shape, found), jnp.any(jnp.stack(broken), axis=0)


def _finite(gradient: Array) -> tuple[Array, Array]:
  axes = tuple(range(1, gradient.ndim))
  real = jnp.isfinite(gradient)
  largest = jnp.max(jnp.abs(jnp.where(real, gradient, 0)), axis=axes, keepdims=True)
  instead = jnp.sign(gradient) * jnp.where(largest > 0, largest, 1)
  instead = jnp.where(jnp.isnan(gradient), 0, instead)
  return jnp.where(real, gradient, instead), ~jnp.all(real, axis=axes)


def slopes(
  objective: Callable[[Tree, Any], tuple[Array, Any]], moved: Tree, carry: Any
) -> tuple[Tree, Array, Any]:
  """The gradient of every image's value, of numbers only.

  Args:
    objective: (moved, carry) -> (values [B], carry); values of different images do not
      mix.
    moved: what is differentiated by, a tree of arrays [B, ...].
    carry: see `base.CarryObjective`.

  Returns:
    gradient, where it was no number [B], carry.
  """

  def total(moved: Tree, carry: Any):
    values, carry = objective(moved, carry)
    return values.sum(), carry

  gradient, carry = jax.grad(total, has_aux=True)(moved, carry)
  return *finite(gradient), carry
