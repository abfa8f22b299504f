"""Decision boundaries, linearised where an image is."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.attacks.objectives import LogitsFn, unmasked
from jaxrkd.attacks.slopes import finite
from jaxrkd.attacks.stepwise import Points, ask, pick, ranked_targets
from jaxrkd.attacks.threat import Threat

Array = jax.Array

# (logits_fn, points, images) -> how far a wrong class is ahead [B], its gradient, and
# where these were no numbers [B].
Boundary = Callable[[LogitsFn, Points, Array], tuple[Array, Array, Array]]


def to_target(logits_fn: LogitsFn, points: Points, images: Array):
  """The boundary to the target class."""

  def total(x):
    logits = unmasked(ask(logits_fn, x, points.key))
    ahead = losses.targeted_margin(logits, points.label, points.target)
    return ahead.sum(), ahead

  slope, ahead = jax.grad(total, has_aux=True)(images)
  w, broken = finite(slope)
  # An answer that is no number has no boundary.
  real = jnp.isfinite(ahead)
  return jnp.where(real, ahead, 0), w, broken | ~real


def to_nearest(threat: Threat, candidates: int = 0) -> Boundary:
  """The boundary that is nearest in the threat's norm where it is linearised.

  Args:
    threat: its norm.
    candidates: wrong classes that are looked at, the likeliest there; 0 takes all.
  """

  def nearest(logits_fn: LogitsFn, points: Points, images: Array):
    asked = lambda x: unmasked(ask(logits_fn, x, points.key))
    logits, pull = jax.vjp(asked, images)
    classes = logits.shape[-1]
    own = jax.nn.one_hot(points.label, classes, dtype=logits.dtype)
    true = jnp.sum(own * logits, axis=-1)
    if 0 < candidates < classes - 1:
      numbers = ranked_targets(logits, points.label)[:, :candidates].T
    else:
      every = jnp.arange(classes)[:, None]
      numbers = jnp.broadcast_to(every, (classes, len(points.label)))

    def compare(best, number):
      other = jax.nn.one_hot(number, classes, dtype=logits.dtype)
      *best, broken = best
      slope, now = finite(pull(other - own)[0])
      gap = jnp.take_along_axis(logits, number[:, None], axis=1)[:, 0] - true
      far = jnp.abs(gap) / (threat.dual_norm(slope).reshape(-1) + 1e-12)
      another = number != points.label
      nearer = (far < best[0]) & another
      picked = map(functools.partial(pick, nearer), (far, gap, slope), best)
      return (*picked, broken | (another & (now | ~jnp.isfinite(gap)))), ()

    zero = jnp.zeros(points.label.shape, logits.dtype)
    begin = (zero + jnp.inf, zero, jnp.zeros_like(images), zero > 0)
    found, _ = jax.lax.scan(compare, begin, numbers)
    return found[1:]

  return nearest
