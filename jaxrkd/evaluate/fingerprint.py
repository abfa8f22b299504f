"""Short names for settings, images, weights and attacks, to recognise results that hold."""

import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import Cascade, Stepwise
from jaxrkd.attacks.stepwise import Points
from jaxrkd.evaluate.task import Images
from jaxrkd.evaluate.trace import digest

Tree = Any


def fingerprint(settings: Any) -> str:
  """A short name for settings, to recognise results that still hold."""
  text = json.dumps(settings, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def images_digest(images: Images) -> str:
  """What tells images, their labels and indices from others."""
  return _digest(images.image, images.label, images.index)


def weights_digest(tree: Tree) -> str:
  """What tells parameters and statistics from others."""

  def plain(leaf: jax.Array) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)

  return _digest(*map(plain, jax.tree.leaves(tree)))


def describe(whole: Cascade, images: Images, classes: int) -> list[list[Any]]:
  """What tells an attack from others: all that its steps compute, constants included."""
  first = jnp.asarray(images.pixels(np.arange(1)))
  zero = jnp.zeros(1, jnp.int32)
  points = Points(jax.random.split(jax.random.key(0), 1), first, zero, zero, zero)
  plain = lambda x: jnp.broadcast_to(jnp.sum(x, axis=(1, 2, 3))[:, None], (1, classes))
  found: list[list[Any]] = []
  for name, part in whole.attacks:

    def once(points: Points, part: Stepwise = part) -> Any:
      return part.step(plain, points, part.begin(points), points.label)

    found.append([name, part.steps, part.runs, digest(jax.make_jaxpr(once)(points))])
  return found


def _digest(*arrays: np.ndarray) -> str:
  whole = hashlib.sha256()
  for array in arrays:
    whole.update(f'{array.shape} {array.dtype}'.encode() + array.tobytes())
  return whole.hexdigest()
