"""Divergences and margins, one number per example; the caller reduces.

Every function takes logits `[..., C]` and returns `[...]` in the logits' type.
"""

import jax
import jax.numpy as jnp

Array = jax.Array


def cross_entropy(logits: Array, labels: Array) -> Array:
  """-log p_y for integer labels.

  Args:
    logits: [..., C].
    labels: [...] integers in [0, C).
  """
  log_probs = jax.nn.log_softmax(logits)
  return -jnp.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]


def kl(target_logits: Array, logits: Array, *, epsilon: float = 0.0) -> Array:
  """KL(p || q) = sum_c p_c (log p_c - log q_c), with p from `target_logits`.

  The target comes first; the papers write it second (KL(student, teacher)).

  Args:
    target_logits: [..., C], the distribution to be matched. Gradients flow through it
      too: stop them where the method does.
    logits: [..., C].
    epsilon: added inside log p. The released code of RSLAD and MTARD uses 1e-5; this
      moves the value (and so MTARD's weights) but no gradient of `logits`.
  """
  probs = jax.nn.softmax(target_logits)
  log_p = jnp.log(probs + epsilon) if epsilon else jax.nn.log_softmax(target_logits)
  return jnp.sum(probs * (log_p - jax.nn.log_softmax(logits)), axis=-1)


def margin(logits: Array, labels: Array) -> Array:
  """max_{j != y} z_j - z_y: positive where the prediction is wrong.

  Args:
    logits: [..., C] with C >= 2.
    labels: [...] integers in [0, C).
  """
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
  true = jnp.sum(jnp.where(own, logits, 0), axis=-1)
  return jnp.max(jnp.where(own, -jnp.inf, logits), axis=-1) - true
