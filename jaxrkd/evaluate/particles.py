"""How strong and how different the adversarial images of one image are (AT-AKA, Table 1)."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Search, example_keys
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.models.group import Group
from jaxrkd.particles import spread
from jaxrkd.runtime import sharding

Array = jax.Array
Tree = Any


@functools.lru_cache(maxsize=16)
def _maker(group: Group, search: Search, mesh: jax.sharding.Mesh) -> Any:
  def make(joined, batch, key):
    def objective(images):
      logits = group.logits(joined, images)
      own = jnp.broadcast_to(batch['label'], logits.shape[:-1])
      return losses.cross_entropy(logits, own)

    keys = example_keys(key, batch['index'])
    images = search.together(keys, objective, batch['image'], group.size)
    logits = group.logits(joined, images)
    own = jnp.broadcast_to(batch['label'], logits.shape[:-1])
    ce = losses.cross_entropy(logits, own)
    predicted = jnp.argmax(logits, -1)
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

  everywhere = sharding.replicated(mesh)
  return jax.jit(make, out_shardings=(sharding.rows(mesh, 1), everywhere))


def describe(
  group: Group,
  members: list[tuple[Tree, Tree]],
  loaded: Loaded,
  mesh: jax.sharding.Mesh,
  search: Search,
  key: Array,
) -> dict[str, float]:
  """Means over the images of a split of what their particles are like.

  Args:
    group: the networks, one for each particle.
    members: their (params, stats).
    loaded: see `robustness.load_split`.
    mesh: the devices.
    search: makes the particles.
    key: random numbers depend on it and an image's index alone.

  Returns:
    'linf' in 8-bit levels, 'l1' and 'l2' in [0, 1] pixels: mean pairwise distances;
    'ce_mean', 'ce_std' (ddof 0), 'ce_max' of each particle under its own network;
    'classes', the number of different predictions; 'accuracy' on the particles.
  """
  joined = group.join(members)
  rows = [_maker(group, search, mesh)(joined, b, key)[1] for b in loaded.batches]
  parts: list[Mapping[str, np.ndarray]] = jax.device_get(rows)
  count = len(loaded.label)
  return {
    name: float(np.concatenate([part[name] for part in parts])[:count].mean())
    for name in parts[0]
  }


def draw(
  group: Group,
  members: list[tuple[Tree, Tree]],
  batch: Mapping[str, Array],
  mesh: jax.sharding.Mesh,
  search: Search,
  key: Array,
) -> np.ndarray:
  """The particles [n, B, H, W, C] of one batch; arguments as `describe`."""
  made, _ = _maker(group, search, mesh)(group.join(members), batch, key)
  return np.asarray(made)
