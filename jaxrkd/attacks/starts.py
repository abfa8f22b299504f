"""The first image of a search: the kinds of start in the literature."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrkd.attacks.threat import L1, Threat

Array = jax.Array
Start = Callable[[Threat, Array, Array], Array]


def none(threat: Threat, keys: Array, clean: Array) -> Array:
  """The clean images (FGSM)."""
  del threat, keys
  return clean


def gauss(threat: Threat, keys: Array, clean: Array) -> Array:
  """x + 0.001 N(0, 1), outside [0, 1] too (TRADES, MART, RSLAD, MTARD)."""
  del threat

  def draw(key: Array) -> Array:
    return jax.random.normal(key, clean.shape[1:], clean.dtype)

  return clean + 0.001 * jax.vmap(draw)(keys)


def uniform_noclamp(threat: Threat, keys: Array, clean: Array) -> Array:
  """Uniform in the ball, outside [0, 1] too (ARD, IAD)."""

  def draw(key: Array) -> Array:
    return threat.noise(key, clean.shape[1:], clean.dtype)

  return clean + jax.vmap(draw)(keys)


def uniform(threat: Threat, keys: Array, clean: Array) -> Array:
  """Uniform in the ball, clamped to [0, 1] (Madry, and most evaluations)."""
  return jnp.clip(uniform_noclamp(threat, keys, clean), 0, 1)


def border(threat: Threat, keys: Array, clean: Array) -> Array:
  """On the border of the ball, clamped to [0, 1] (AutoAttack)."""

  def draw(key: Array) -> Array:
    return threat.draw(key, clean.shape[1:], clean.dtype)

  way = jax.vmap(draw)(keys)
  if isinstance(threat, L1):
    return threat.project(clean + way, clean)
  return jnp.clip(clean + threat.eps * way / threat.norm(way), 0, 1)


STARTS: dict[str, Start] = {
  'none': none,
  'border': border,
  'gauss': gauss,
  'uniform': uniform,
  'uniform_noclamp': uniform_noclamp,
}
