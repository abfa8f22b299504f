"""Labels as probabilities: smoothing."""

import jax
import jax.numpy as jnp

Array = jax.Array


def smoothed(label: Array, classes: int, amount: float | Array) -> Array:
  """(1 - amount) one-hot + amount / classes, [B, classes].

  Args:
    label: [B] integers.
    classes: number of classes.
    amount: one for all, or [B].
  """
  amount = jnp.broadcast_to(jnp.asarray(amount, jnp.result_type(float)), label.shape)
  one_hot = jax.nn.one_hot(label, classes)
  return (1 - amount[:, None]) * one_hot + amount[:, None] / classes
