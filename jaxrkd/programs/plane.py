"""Attacks in two dimensions, where one can see them: AT-AKA's Figure 1."""

import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrkd import attacks, losses
from jaxrkd.report import pictures


def draw_plane(
  path: pathlib.Path, searches: Mapping[str, attacks.Search], count: int, eps: float
) -> None:
  """The two-dimensional case: a small network on two half-moons, a few points attacked."""
  points, labels = two_moons(400)
  logits_fn = moon_network(points, labels)
  chosen = np.array([3, 40, 77, 121, 160, 203])
  clean = jnp.asarray(points[chosen]).reshape(-1, 1, 2, 1)
  own = jnp.asarray(labels[chosen])
  objective = attacks.objectives.cross_entropy(logits_fn, own)
  made = {
    title: np.asarray(
      search.together(
        jax.random.key(0), attacks.objectives.all_alike(objective), clean, count
      )
    ).reshape(count, -1, 2)
    for title, search in searches.items()
  }

  def probability(grid: np.ndarray) -> np.ndarray:
    logits = logits_fn(jnp.asarray(grid, jnp.float32).reshape(-1, 1, 2, 1))
    return np.asarray(jax.nn.softmax(logits)[:, 1])

  pictures.plane(path, probability, points[chosen], labels[chosen], made, eps)


def two_moons(count: int) -> tuple[np.ndarray, np.ndarray]:
  """Points [count, 2] in [0, 1] on two half-moons, and their labels."""
  rng = np.random.default_rng(0)
  labels = np.arange(count) % 2
  turn = np.pi * rng.uniform(size=count)
  upper = np.stack([np.cos(turn), np.sin(turn)], 1)
  moons = np.where(labels[:, None] == 0, upper, np.array([1.0, 0.5]) - upper)
  spread = moons + 0.06 * rng.normal(size=moons.shape)
  scaled = (spread - np.array([-1.3, -0.8])) / np.array([3.6, 2.1])
  return scaled.astype(np.float32), labels


def moon_network(points: np.ndarray, labels: np.ndarray) -> attacks.objectives.LogitsFn:
  """A dense network with one hidden layer, trained on the points."""
  keys = jax.random.split(jax.random.key(1), 3)
  params = {
    'in': 6 * jax.random.normal(keys[0], (2, 64)),
    'bias': 3 * jax.random.normal(keys[1], (64,)),
    'out': jax.random.normal(keys[2], (64, 2)) / 8,
  }
  rule = optax.adam(1e-2)
  inputs, targets = jnp.asarray(points), jnp.asarray(labels)

  def logits(params, flat):
    return jnp.tanh(flat @ params['in'] + params['bias']) @ params['out']

  def step(carry, _):
    params, opt = carry
    value = lambda p: losses.cross_entropy(logits(p, inputs), targets).mean()
    change, opt = rule.update(jax.grad(value)(params), opt)
    return (optax.apply_updates(params, change), opt), None

  train = jax.jit(lambda p: jax.lax.scan(step, (p, rule.init(p)), length=500)[0][0])
  trained = train(params)
  return lambda images: logits(trained, images.reshape(len(images), 2))
