"""Short names for settings, images, weights and attacks, to recognise results that hold."""

import functools
import hashlib
import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import Cascade, LogitsFn, Stepwise
from jaxrkd.attacks.code import digest, is_opaque
from jaxrkd.attacks.minimum_norm import ToTheEnd
from jaxrkd.attacks.stepwise import Points
from jaxrkd.evaluate.task import Images

Tree = Any
# Images on which an attack of another framework is tried.
LOOKED_AT = 8


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


class Described(NamedTuple):
  """What tells an attack from others.

  Attributes:
    parts: of each attack its name, steps, runs and all that a step computes, constants
      included.
    found: what the parts found on a few images whose work is done in another framework,
      where it cannot be read; flat.
  """

  parts: list[list[Any]]
  found: np.ndarray


def describe(
  whole: Cascade, images: Images, classes: int, logits_fn: LogitsFn
) -> Described:
  """What tells an attack on a classifier from others."""
  points = _points(images, np.arange(1))
  plain = lambda x: jnp.broadcast_to(jnp.sum(x, axis=(1, 2, 3))[:, None], (1, classes))
  few = _points(images, np.arange(len(images))[:LOOKED_AT])
  parts: list[list[Any]] = []
  found = [np.zeros(0, np.float32)]
  for name, part in whole.attacks:

    def once(asked: LogitsFn, points: Points, part: Stepwise = part) -> Any:
      return part.step(asked, points, part.begin(points), points.run)

    program = jax.make_jaxpr(functools.partial(once, plain))(points)
    parts.append([name, part.steps, part.runs, digest(program)])
    if isinstance(part, ToTheEnd):
      parts[-1].append(repr(part.norm))
    if is_opaque(program):
      found.append(np.asarray(once(logits_fn, few).found).ravel())
  return Described(parts, np.concatenate(found))


def _points(images: Images, places: np.ndarray) -> Points:
  keys = jax.random.split(jax.random.key(0), len(places))
  clean, label = jnp.asarray(images.pixels(places)), jnp.asarray(images.label[places])
  return Points(keys, clean, label, label * 0, label * 0)


def _digest(*arrays: np.ndarray) -> str:
  whole = hashlib.sha256()
  for array in arrays:
    whole.update(f'{array.shape} {array.dtype}'.encode() + array.tobytes())
  return whole.hexdigest()
