"""How the predictions of several networks become one.

An average has fixed shares: ensembles of teachers, and ensembles that are measured and
attacked as a whole. An amalgamation (AT-AKA, section 5.3) weighs the networks anew for
every image, by their losses or by the student, and so needs labels: it exists in training
only.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.amalgamation.simplex import MOST, nearest_mixture
from jaxrkd.errors import InputError, choose, in_range

Array = jax.Array
# (logits [M, B, C], shares that sum to 1 over M, temperature) -> logits [B, C] whose
# softmax is the ensemble's prediction. Shares are [M], or [M, B] for one set per image.
Average = Callable[[Array, Sequence[float] | Array, float], Array]


def _column(shares: Sequence[float] | Array, dtype: jnp.dtype) -> Array:
  """[M, 1 or B, 1]."""
  shares = jnp.asarray(shares, dtype)
  return shares.reshape(shares.shape[0], -1, 1)


def average_probabilities(
  logits: Array, shares: Sequence[float] | Array, temperature: float = 1.0
) -> Array:
  """The logarithm of sum_i share_i softmax(z_i / t)."""
  if len(shares) == 1:
    return logits[0] / temperature
  log_probs = jax.nn.log_softmax(logits / temperature)
  weights = _column(shares, log_probs.dtype)
  return jax.nn.logsumexp(log_probs, axis=0, b=weights)


def average_logits(
  logits: Array, shares: Sequence[float] | Array, temperature: float = 1.0
) -> Array:
  """sum_i share_i z_i / t."""
  if len(shares) == 1:
    return logits[0] / temperature
  return jnp.sum(_column(shares, logits.dtype) * logits, axis=0) / temperature


AVERAGES: dict[str, Average] = {
  'probabilities': average_probabilities,
  'logits': average_logits,
}


class Amalgamation(NamedTuple):
  """A rule that weighs networks image by image.

  Attributes:
    weigh: (logits [n, B, C], labels, student's logits [B, C] or None) -> weights [n, B].
    combine: the average that takes these weights.
    asks_student: whether `weigh` needs the student's logits.
  """

  weigh: Callable[[Array, Array, Array | None], Array]
  combine: Average
  asks_student: bool = False

  def __call__(
    self,
    logits: Array,
    labels: Array,
    student: Array | None = None,
    temperature: float = 1.0,
    stop: bool = True,
  ) -> Array:
    """Logits [B, C] of the amalgam.

    Args:
      logits: [n, B, C].
      labels: [B] integers, or [B, C] probabilities.
      student: its logits [B, C], where `asks_student`.
      temperature: of the prediction; the weights are those at temperature 1.
      stop: let no gradient pass through the weights.
    """
    weights = self.weigh(logits, labels, student)
    if stop:
      weights = jax.lax.stop_gradient(weights)
    return self.combine(logits, weights, temperature)


def naive() -> Amalgamation:
  """The network with the largest loss alone (AT-AKA, equation 4)."""

  def weigh(logits, labels, student):
    del student
    worst = jnp.argmax(losses.cross_entropy(logits, _each(labels, logits)), axis=0)
    return jax.nn.one_hot(worst, logits.shape[0], axis=0, dtype=logits.dtype)

  return Amalgamation(weigh, average_logits)


def linear() -> Amalgamation:
  """Weights in proportion to the losses (AT-AKA, equation 5)."""

  def weigh(logits, labels, student):
    del student
    # All losses may be 0: then the weights are equal.
    found = losses.cross_entropy(logits, _each(labels, logits)) + 1e-12
    return found / jnp.sum(found, axis=0)

  return Amalgamation(weigh, average_logits)


def soft(beta: float = 1.0) -> Amalgamation:
  """The softmax of beta times the losses (AT-AKA, equation 6).

  Args:
    beta: 0 gives equal weights; larger ones approach `naive`.
  """
  in_range(beta, 0, float('inf'), 'beta')

  def weigh(logits, labels, student):
    del student
    return jax.nn.softmax(
      beta * losses.cross_entropy(logits, _each(labels, logits)), axis=0
    )

  return Amalgamation(weigh, average_logits)


def pareto() -> Amalgamation:
  """The mixture of probabilities that is nearest to the student's (AT-AKA, equation 7).

  The paper prints min for argmin.
  """

  def weigh(logits, labels, student):
    del labels
    return nearest_mixture(jax.nn.softmax(logits), jax.nn.softmax(student))

  return Amalgamation(weigh, average_probabilities, asks_student=True)


def check_pareto(count: int, what: str) -> None:
  """Raises `InputError` unless `pareto` can amalgamate so many networks."""
  if not 2 <= count <= MOST:
    reason = 'with one there is nothing to weigh'
    if count > MOST:
      reason = 'every face of their simplex is solved'
    raise InputError(
      f'{what} is pareto with {count} network{"s" * (count != 1)} to amalgamate; it takes '
      f'2 to {MOST}, because {reason}: change their number, or choose naive, linear or soft'
    )


def _each(labels: Array, logits: Array) -> Array:
  """The same labels for every network."""
  return jnp.broadcast_to(labels, (logits.shape[0], *labels.shape))


AMALGAMATIONS: dict[str, Callable[..., Amalgamation]] = {
  'naive': naive,
  'linear': linear,
  'soft': soft,
  'pareto': pareto,
}


def amalgamation(name: str, beta: float, where: str = 'method') -> Amalgamation:
  """Builds a row of `AMALGAMATIONS` for a method.

  Args:
    name: the row.
    beta: of 'soft'.
    where: config group, for messages.

  Raises:
    InputError: an unknown name, or a beta that is negative, or not 1 where only `soft`
      has one.
  """
  row = choose(AMALGAMATIONS, name, f'{where}.amalgamation')
  if name == 'soft':
    in_range(beta, 0, float('inf'), f'{where}.beta')
    return soft(beta)
  if beta != 1:
    raise InputError(
      f'{where}.beta is {beta}, but the amalgamation is {name}; only soft has a beta'
    )
  return row()
