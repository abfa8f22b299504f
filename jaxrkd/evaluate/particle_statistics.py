"""How strong and how different the adversarial images of one image are (AT-AKA, Table 1)."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Search, example_keys
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.models import Net
from jaxrkd.particles import merge, part, spread
from jaxrkd.runtime import sharding

# What particles of an image are like -> its unit.
UNITS = {
  'linf': 'of 255',
  'l2': '[0, 1]',
  'l1': '[0, 1]',
  'ce_mean': 'nats',
  'ce_std': 'nats',
  'ce_max': 'nats',
  'classes': '',
  'accuracy': '%',
}
Array = jax.Array
Tree = Any


# (variables, images [n, B, H, W, C]) -> logits [n, B, classes], in evaluation mode.
Answer = Callable[[Tree, Array], Array]


@functools.lru_cache(maxsize=16)
def one_network(net: Net) -> Answer:
  """All particles under one network, whose (params, stats) are the variables."""

  def answer(variables: Tree, images: Array) -> Array:
    params, stats = variables
    return part(net.apply(params, stats, merge(images)), len(images))

  return answer


@functools.lru_cache(maxsize=16)
def _maker(answer: Answer, count: int, search: Search, mesh: jax.sharding.Mesh) -> Any:
  def make(variables, batch, key):
    def attacked(images):
      logits = answer(variables, images)
      own = jnp.broadcast_to(batch['label'], logits.shape[:-1])
      return losses.cross_entropy(logits, own), jnp.argmax(logits, -1), own

    keys = example_keys(key, batch['index'])
    objective = lambda images: attacked(images)[0]
    images = search.together(keys, objective, batch['image'], count)
    ce, predicted, own = attacked(images)
    ordered = jnp.sort(predicted, axis=0)
    found = {
      **spread(images),
      'ce_mean': ce.mean(0),
      # Of these particles, not of a population behind them: ddof 0.
      'ce_std': ce.std(0),
      'ce_max': ce.max(0),
      'classes': 1 + jnp.sum(ordered[1:] != ordered[:-1], axis=0),
      'accuracy': jnp.mean(predicted == own, axis=0),
    }
    return images, found

  # Copied to every process, so that each can read all of it.
  return jax.jit(make, out_shardings=sharding.replicated(mesh))


def of_each_image(
  answer: Answer,
  variables: Tree,
  count: int,
  loaded: Loaded,
  mesh: jax.sharding.Mesh,
  search: Search,
  key: Array,
) -> dict[str, np.ndarray]:
  """What the particles of each image of a split are like.

  Args:
    answer: the networks, one for each particle (`Group.logits`), or `one_network`.
    variables: its first argument.
    count: particles per image.
    loaded: see `robustness.load_split`.
    mesh: the devices.
    search: makes the particles.
    key: random numbers depend on it and an image's index alone.

  Returns:
    [N] of each of `UNITS`. 'linf' in 8-bit levels, 'l1' and 'l2' in [0, 1] pixels: mean
    pairwise distances; 'ce_mean', 'ce_std' (ddof 0), 'ce_max' of the particles of an image;
    'classes', the number of different predictions; 'accuracy' on the particles.
  """
  made = _maker(answer, count, search, mesh)
  parts: list[Mapping[str, np.ndarray]] = jax.device_get(
    [made(variables, batch, key)[1] for batch in loaded.batches]
  )
  images = len(loaded.label)
  return {
    name: np.concatenate([part[name] for part in parts])[:images] for name in parts[0]
  }


def describe(
  answer: Answer,
  variables: Tree,
  count: int,
  loaded: Loaded,
  mesh: jax.sharding.Mesh,
  search: Search,
  key: Array,
) -> dict[str, float]:
  """Means over the images of a split; see `of_each_image`."""
  found = of_each_image(answer, variables, count, loaded, mesh, search, key)
  return {name: float(values.mean()) for name, values in found.items()}


def first_particles(
  answer: Answer,
  variables: Tree,
  count: int,
  loaded: Loaded,
  mesh: jax.sharding.Mesh,
  search: Search,
  key: Array,
) -> tuple[np.ndarray, np.ndarray]:
  """Images [B, H, W, C] of the first batch and their particles; arguments as above."""
  batch = loaded.batches[0]
  made, _ = _maker(answer, count, search, mesh)(variables, batch, key)
  return np.asarray(batch['image']), np.asarray(made)
