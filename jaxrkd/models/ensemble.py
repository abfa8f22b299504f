"""Several networks as one: those of one architecture run in one vmapped call.

Used for ensembles of teachers and for ensembles that are evaluated, and attacked, as a
whole ("en-SAT" and the like).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrkd.models.net import Net

Array = jax.Array
Tree = Any
Variables = tuple[Tree, Tree]
# (logits [M, B, C], shares [M] that sum to 1, temperature) -> logits [B, C] whose softmax
# is the ensemble's prediction.
Average = Callable[[Array, Sequence[float], float], Array]


def average_probabilities(
  logits: Array, shares: Sequence[float], temperature: float = 1.0
) -> Array:
  """The logarithm of sum_i share_i softmax(z_i / t)."""
  if len(shares) == 1:
    return logits[0] / temperature
  log_probs = jax.nn.log_softmax(logits / temperature)
  weights = jnp.asarray(shares, log_probs.dtype)[:, None, None]
  return jax.nn.logsumexp(log_probs, axis=0, b=weights)


def average_logits(
  logits: Array, shares: Sequence[float], temperature: float = 1.0
) -> Array:
  """sum_i share_i z_i / t."""
  if len(shares) == 1:
    return logits[0] / temperature
  return jnp.einsum('m,mbc->bc', jnp.asarray(shares, logits.dtype), logits) / temperature


AVERAGES: dict[str, Average] = {
  'probabilities': average_probabilities,
  'logits': average_logits,
}


class Stack(NamedTuple):
  """`size` networks of one architecture."""

  net: Net
  size: int

  def join(self, members: Sequence[Variables]) -> Variables:
    """Their (params, stats), with a leading axis where there are several."""
    if self.size == 1:
      return members[0]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)

  def logits(self, variables: Variables, images: Array) -> Array:
    """[size, B, C], in evaluation mode."""
    if self.size == 1:
      return self.net.apply(*variables, images)[None]
    return jax.vmap(self.net.apply, in_axes=(0, 0, None))(*variables, images)


def ensemble(
  nets: Sequence[Net], shares: Sequence[float], average: Average
) -> tuple[Net, Callable[[Sequence[Variables]], Variables]]:
  """A network whose prediction is the average of others'.

  Args:
    nets: the members; those that are the same object are evaluated together.
    shares: their weights, summing to 1.
    average: a row of `AVERAGES`.

  Returns:
    The network, and a function that makes its (params, stats) from the members'. Its
    training mode trains every member on the gradient of the average.
  """
  # A NamedTuple of functions is equal where the functions are the same.
  kinds = list(dict.fromkeys(nets))
  places = [[i for i, net in enumerate(nets) if net == kind] for kind in kinds]
  stacks = [Stack(kind, len(place)) for kind, place in zip(kinds, places)]
  ordered = [shares[i] for place in places for i in place]

  def join(members: Sequence[Variables]) -> Variables:
    joined = [s.join([members[i] for i in p]) for s, p in zip(stacks, places)]
    return tuple(params for params, _ in joined), tuple(stats for _, stats in joined)

  def init(key: Array) -> Variables:
    keys = jax.random.split(key, len(nets))
    return join([net.init(k) for net, k in zip(nets, keys)])

  def apply(params: Tree, stats: Tree, images: Array) -> Array:
    parts = [s.logits((p, t), images) for s, p, t in zip(stacks, params, stats)]
    return average(jnp.concatenate(parts), ordered, 1.0)

  def apply_train(params, stats, images, mask=None):
    parts, moved = [], []
    for stack, p, t in zip(stacks, params, stats):
      if stack.size == 1:
        logits, new = stack.net.apply_train(p, t, images, mask)
        logits = logits[None]
      else:
        train = jax.vmap(stack.net.apply_train, in_axes=(0, 0, None, None))
        logits, new = train(p, t, images, mask)
      parts.append(logits)
      moved.append(new)
    return average(jnp.concatenate(parts), ordered, 1.0), tuple(moved)

  return Net(init, apply, apply_train), join
