"""Short questions to a network, which the trust checks are made of."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Threat, example_keys, pgd_search
from jaxrkd.attacks.lanes import Classifier
from jaxrkd.attacks.objectives import cross_entropy
from jaxrkd.attacks.slopes import slopes
from jaxrkd.attacks.stepwise import ask
from jaxrkd.evaluate.robustness import Loaded, evaluate_clean
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.runtime import sharding

Array = jax.Array


class Probe:
  """Short questions to one network about the images of a check.

  Args:
    part: the images.
    key: for random numbers.
    threat: whose norm is used; the radius is told with each question.
    subject: the network.
  """

  def __init__(self, part: Loaded, key: Array, threat: Threat, subject: Subject):
    self._part, self._key, self._kind = part, key, type(threat)
    self._subject = subject
    self.pixels = math.prod(part.images.image.shape[1:])

  def _each(self, ask: Callable[..., Any], *more: Any) -> list[np.ndarray]:
    """One answer for each batch, without the filling of the last one."""
    left, found = len(self._part.images), []
    for batch in self._part.batches:
      answer = np.asarray(ask(self._subject.variables, self._key, batch, *more))
      found.append(answer[:left])
      left -= len(answer)
    return found

  def made(self, eps: float, steps: int) -> np.ndarray:
    """Images of PGD, or of FGSM for one step, [N, H, W, C]."""
    search = _searcher(self._subject.net, self._kind, steps, self._part.mesh)
    return np.concatenate(self._each(search, jnp.float32(eps)))

  def right(self, images: np.ndarray) -> np.ndarray:
    """Whether images like ours are still right, [N]."""
    own = self._part.images
    other = Loaded(
      Images(images, own.label, own.index), self._part.batch_size, self._part.mesh
    )
    seen = evaluate_clean(self._subject, other, self._key)
    # An image that is none says nothing about the network.
    return seen.right(own.label) | ~seen.allowed

  def withstands(self, eps: float, steps: int) -> np.ndarray:
    """Whether images are right after PGD, [N]."""
    return self.right(self.made(eps, steps))

  def slopes(self) -> tuple[np.ndarray, np.ndarray]:
    """Where the cross-entropy has no slope at all, and where entries are no numbers, [N]."""
    slope = _slope(self._subject.net, self._part.mesh)
    found = np.concatenate(self._each(slope))
    return ~(found[:, 0] > 0), found[:, 1] > 0

  def unrepeatable(self) -> float:
    """How far logits move when asked again, and in other company; 1 is their size."""
    again = _again(self._subject.net, self._part.mesh)
    return float(max(float(np.max(found)) for found in self._each(again)))


@functools.lru_cache(maxsize=16)
def _searcher(
  net: Classifier, kind: type, steps: int, mesh: jax.sharding.Mesh
) -> Callable:
  """PGD whose radius is told at run time, so that a whole curve compiles once."""

  def made(variables, key, batch, eps):
    size = eps if steps == 1 else None
    start = 'none' if steps == 1 else 'uniform'
    search = pgd_search(kind(eps), steps=steps, step_size=size, start=start)
    keys = example_keys(key, batch['index'])
    logits_fn = lambda x: ask(net.logits_fn(*variables), x, keys)
    return search(keys, cross_entropy(logits_fn, batch['label']), batch['image'])

  return jax.jit(made, out_shardings=sharding.replicated(mesh))


@functools.lru_cache(maxsize=16)
def _slope(net: Classifier, mesh: jax.sharding.Mesh) -> Callable:
  """Of the cross-entropy's gradient, [B, 2]: its largest entry, and whether some are no
  numbers, in which case these count as 0."""

  def slope(variables, key, batch):
    keys = example_keys(key, batch['index'])
    ce = lambda x: losses.cross_entropy(
      ask(net.logits_fn(*variables), x, keys), batch['label']
    )
    gradient, broken, _ = slopes(lambda x, carry: (ce(x), carry), batch['image'], ())
    largest = jnp.max(jnp.abs(gradient), axis=tuple(range(1, gradient.ndim)))
    return jnp.stack([largest, broken.astype(largest.dtype)], axis=1)

  return jax.jit(slope, out_shardings=sharding.replicated(mesh))


@functools.lru_cache(maxsize=16)
def _again(net: Classifier, mesh: jax.sharding.Mesh) -> Callable:
  """How far logits of a batch move, relative to the largest one, [B]."""

  def once(variables, key, batch):
    return ask(
      net.logits_fn(*variables), batch['image'], example_keys(key, batch['index'])
    )

  ask_once = jax.jit(once, out_shardings=sharding.replicated(mesh))

  def again(variables, key, batch):
    first = ask_once(variables, key, batch)
    second = ask_once(variables, jax.random.fold_in(key, 1), batch)
    # Half of the images replaced by black ones: the rest must not notice.
    half = (jnp.arange(len(first)) % 2).astype(batch['image'].dtype)[:, None, None, None]
    other = {**batch, 'image': batch['image'] * (1 - half)}
    third = jnp.where(half[:, 0, 0] == 0, ask_once(variables, key, other), first)
    size = jnp.maximum(
      jnp.max(jnp.abs(first), where=jnp.isfinite(first), initial=0), 1e-12
    )
    # The same class masked again did not move.
    away = lambda other: jnp.where(other == first, 0, jnp.abs(other - first))
    return jnp.max(jnp.maximum(away(second), away(third)), axis=-1) / size

  return again
