"""Divergences and margins, one number per example; the caller reduces.

Every function takes logits `[..., C]` and returns `[...]` in the logits' type. Labels are
integers `[...]`, or probabilities `[..., C]` where they were mixed or smoothed.
"""

import jax
import jax.numpy as jnp

Array = jax.Array


def cross_entropy(logits: Array, labels: Array) -> Array:
  """-log p_y for integer labels, -sum_c y_c log p_c for probabilities.

  Args:
    logits: [..., C].
    labels: [...] integers in [0, C), or [..., C] probabilities.
  """
  log_probs = jax.nn.log_softmax(logits)
  if labels.ndim == logits.ndim:
    return -jnp.sum(labels * log_probs, axis=-1)
  return -jnp.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]


def true_probability(logits: Array, labels: Array) -> Array:
  """p_y for integer labels, sum_c y_c p_c for probabilities; arguments as above."""
  probs = jax.nn.softmax(logits)
  if labels.ndim == logits.ndim:
    return jnp.sum(labels * probs, axis=-1)
  return jnp.take_along_axis(probs, labels[..., None], axis=-1)[..., 0]


def entropy(logits: Array) -> Array:
  """Entropy of the prediction, natural logarithm, [B].

  Args:
    logits: [B, classes]; minus infinity masks a class.
  """
  log_probs = jax.nn.log_softmax(logits)
  # A masked class has no share: zero times minus infinity is not zero.
  return -jnp.sum(jnp.where(log_probs > -jnp.inf, jnp.exp(log_probs) * log_probs, 0), -1)


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


def kl_to_probs(probs: Array, logits: Array, *, epsilon: float = 0.0) -> Array:
  """KL(p || q) for a target given as probabilities, which may be 0.

  Args:
    probs: [..., C], summing to 1; a constant.
    logits: [..., C].
    epsilon: added inside log p, as in `kl`.
  """
  own = (
    probs * jnp.log(probs + epsilon) if epsilon else jax.scipy.special.xlogy(probs, probs)
  )
  return jnp.sum(own - probs * jax.nn.log_softmax(logits), axis=-1)


def margin(logits: Array, labels: Array) -> Array:
  """max_{j != y} z_j - z_y: positive where the prediction is wrong.

  Args:
    logits: [..., C] with C >= 2.
    labels: [...] integers in [0, C).
  """
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
  true = jnp.sum(jnp.where(own, logits, 0), axis=-1)
  return jnp.max(jnp.where(own, -jnp.inf, logits), axis=-1) - true


def dlr(logits: Array, labels: Array) -> Array:
  """(max_{j != y} z_j - z_y) / (z_1 - z_3), the Difference of Logits Ratio, to be raised.

  Croce & Hein (2020, 2003.01690, equation 6); z_1 >= z_2 >= z_3 in falling order.

  Args:
    logits: [..., C] with C >= 3.
    labels: [...] integers in [0, C).
  """
  ordered = jnp.sort(logits, axis=-1)
  return margin(logits, labels) / (ordered[..., -1] - ordered[..., -3] + 1e-12)


def targeted_dlr(logits: Array, labels: Array, targets: Array) -> Array:
  """(z_t - z_y) / (z_1 - (z_3 + z_4) / 2), to be raised (as above, equation 7).

  Args:
    logits: [..., C] with C >= 4.
    labels: [...] integers in [0, C).
    targets: [...] integers in [0, C).
  """
  ordered = jnp.sort(logits, axis=-1)
  spread = ordered[..., -1] - 0.5 * (ordered[..., -3] + ordered[..., -4]) + 1e-12
  return targeted_margin(logits, labels, targets) / spread


def targeted_margin(logits: Array, labels: Array, targets: Array) -> Array:
  """z_t - z_y; arguments as above."""
  pick = lambda place: jnp.take_along_axis(logits, place[..., None], axis=-1)[..., 0]
  return pick(targets) - pick(labels)


def label_angle(logits: Array, other_logits: Array, labels: Array) -> Array:
  """Cosine of the angle at the label between two predictions, in [1/2, 1].

  The angle between p - y and p' - y, with y one-hot. It depends on the softmax r, r' over
  the wrong classes only: (1 + r r') / sqrt((1 + r r)(1 + r' r')). In this form no norm
  vanishes as p approaches y. MMARD's triangular relation is made of it.

  Args:
    logits: [..., C], of p.
    other_logits: [..., C], of p'.
    labels: [...] integers in [0, C).
  """
  own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
  r, s = (jax.nn.softmax(jnp.where(own, -jnp.inf, z)) for z in (logits, other_logits))
  lengths = (1 + jnp.sum(r * r, -1)) * (1 + jnp.sum(s * s, -1))
  return (1 + jnp.sum(r * s, -1)) / jnp.sqrt(lengths)


def logit_angle(logits: Array, other_logits: Array, labels: Array) -> Array:
  """As `label_angle`, between z - y and z' - y for logits z; in [-1, 1]."""
  one_hot = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
  u, v = logits - one_hot, other_logits - one_hot
  lengths = jnp.sum(u * u, -1) * jnp.sum(v * v, -1)
  return jnp.sum(u * v, -1) / jnp.sqrt(jnp.maximum(lengths, 1e-24))


def huber(difference: Array, delta: float) -> Array:
  """d^2 / 2 up to |d| = delta, then the straight line that continues it."""
  size = jnp.abs(difference)
  return jnp.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))
