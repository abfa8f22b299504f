"""Compiled pieces that move a fixed number of images through an attack, step by step.

A lane is a place in the batch. Images enter a lane when it is free and leave it when they
are broken or through; no image knows of its neighbours, so its verdict does not depend on
when it entered, where, or beside whom.
"""

from collections.abc import Callable, Hashable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.repeat import slow_in_loop
from jaxrkd.attacks.stepwise import (
  Lanes,
  Points,
  Stepwise,
  advance,
  advance_once,
  not_finite,
  pick,
)

Array = jax.Array
Tree = Any
# Halvings of the batch for the last images: each is one more compilation.
HALVINGS = 3
# More rounds than this with a smaller batch cost more than compiling a larger one.
ROUNDS = 8


class Classifier(Hashable, Protocol):
  """What is attacked: `models.Net`, `attacks.code.Code`, or what has this function."""

  def logits_fn(self, params: Tree, stats: Tree, /) -> LogitsFn: ...


class LanePrograms:
  """The compiled pieces for one network and attack.

  Args:
    net: its `logits_fn` takes the variables that `advance` is given.
    attack: what the images go through.
    rows: how arrays of one row per image lie on the devices; None for wherever they are.
    everywhere: the sharding of a copy on every device; None for wherever they are.
  """

  def __init__(
    self,
    net: Classifier,
    attack: Stepwise,
    rows: jax.sharding.Sharding | None = None,
    everywhere: jax.sharding.Sharding | None = None,
  ):
    self.attack = attack
    # Batch sizes that were compiled, by the shape of an image.
    self._compiled: dict[tuple[int, ...], set[int]] = {}
    self._one_by_one: bool | None = None

    def steps(variables: Tree, lanes: Lanes, count: Array) -> Lanes:
      return advance(attack, net.logits_fn(*variables), lanes, count)

    def step(variables: Tree, lanes: Lanes) -> Lanes:
      return advance_once(attack, net.logits_fn(*variables), lanes)

    def on_rows(function: Callable, **options: Any) -> Callable:
      return jax.jit(function, out_shardings=rows, **options)

    def on_all(function: Callable) -> Callable:
      return jax.jit(function, out_shardings=everywhere)

    self._plain_step = step
    self._steps, self._step = (on_rows(f, donate_argnums=1) for f in (steps, step))
    self._begin, self._merge = on_rows(self._begun), on_rows(self._merged)
    self._look = on_all(_seen)
    self._found = on_all(lambda lanes: lanes.state.found)
    self._resume, self._take = on_rows(self._resumed), on_rows(_taken)
    self._whole, self._restore = on_all(_with_key_data), on_rows(_with_keys)

  def begin(self, points: Points, idle: Any) -> Lanes:
    """Lanes before their first step; `idle` ones, [B], are through before they begin."""
    self._sizes(points.clean.shape).add(points.clean.shape[0])
    return self._begin(points, idle)

  def merge(self, fresh: Array, new: Lanes, old: Lanes) -> Lanes:
    """Lane by lane the new ones where `fresh`, [B], and the old ones elsewhere."""
    return self._merge(fresh, new, old)

  def advance(self, variables: Tree, lanes: Lanes, count: int) -> Lanes:
    """Up to `count` steps on; the memory of `lanes` is reused."""
    if self._one_by_one is None:
      self._one_by_one = slow_in_loop(
        lambda lanes: self._plain_step(variables, lanes), lanes
      )
    if not self._one_by_one:
      return self._steps(variables, lanes, count)
    # Inside a loop its convolutions would be several times slower: the loop is here.
    for _ in range(count):
      lanes = self._step(variables, lanes)
    return lanes

  def look(self, lanes: Lanes) -> tuple[Array, Array, Array]:
    """(fooled [B], steps done [B], not_finite [B]), on every process."""
    return self._look(lanes)

  def found(self, lanes: Lanes) -> Array:
    """The images that the attack has found, [B, H, W, C], on every process."""
    return self._found(lanes)

  def resume(self, refuted: Array, lanes: Lanes) -> Lanes:
    """Lanes that go on as if those that are refuted, [B], were not fooled."""
    return self._resume(refuted, lanes)

  def take(self, lanes: Lanes, places: Any) -> Lanes:
    """Other lanes, as many as there are places."""
    self._sizes(lanes.points.clean.shape).add(len(places))
    return self._take(lanes, places)

  def whole(self, lanes: Lanes) -> Lanes:
    """Every leaf on every process, keys as numbers: to be written down."""
    return self._whole(lanes)

  def restore(self, lanes: Lanes) -> Lanes:
    """The other way."""
    return self._restore(lanes)

  def sizes(
    self, waiting: int, batch_size: int, devices: int, image_shape: tuple[int, ...]
  ) -> list[int]:
    """Batch sizes for so many images, ascending; those that are compiled come first.

    Args:
      waiting: images.
      batch_size: the largest.
      devices: divide every size.
      image_shape: (H, W, C).
    """
    wanted = lane_sizes(waiting, batch_size, devices)
    there = self._compiled.get(image_shape, set())
    known = sorted(size for size in there if size <= batch_size)
    if known and 2 * known[-1] >= wanted[-1] and waiting <= ROUNDS * known[-1]:
      return known
    return wanted

  def _sizes(self, shape: tuple[int, ...]) -> set[int]:
    return self._compiled.setdefault(shape[1:], set())

  def _begun(self, points: Points, idle: Array) -> Lanes:
    done = jnp.where(idle, self.attack.steps, 0).astype(jnp.int32)
    return Lanes(points, self.attack.begin(points), done)

  @staticmethod
  def _merged(fresh: Array, new: Lanes, old: Lanes) -> Lanes:
    return jax.tree.map(lambda a, b: pick(fresh, a, b), new, old)

  def _resumed(self, refuted: Array, lanes: Lanes) -> Lanes:
    return lanes._replace(state=self.attack.refuted(lanes.state, refuted))


def _seen(lanes: Lanes) -> tuple[Array, Array, Array]:
  return lanes.state.fooled, lanes.done, not_finite(lanes.state)


def _taken(lanes: Lanes, places: Array) -> Lanes:
  return jax.tree.map(lambda leaf: leaf[places], lanes)


def _with_key_data(lanes: Lanes) -> Lanes:
  key = jax.random.key_data(lanes.points.key)
  return lanes._replace(points=lanes.points._replace(key=key))


def _with_keys(lanes: Lanes) -> Lanes:
  key = jax.random.wrap_key_data(lanes.points.key)
  return lanes._replace(points=lanes.points._replace(key=key))


def ladder(batch_size: int, devices: int) -> list[int]:
  """Batch sizes that are used: the full one, and halves of it for the last images."""
  halves = (-(-batch_size // 2**k) for k in range(HALVINGS + 1))
  return sorted({-(-half // devices) * devices for half in halves})


def lane_sizes(waiting: int, batch_size: int, devices: int) -> list[int]:
  """As `ladder`, from the size that `waiting` images fill in as few rounds, but evenly.

  In eighths of the batch, so that few sizes are compiled.
  """
  rounds = max(-(-waiting // batch_size), 1)
  eighth = max(-(-batch_size // 8), 1)
  even = -(-waiting // rounds)
  return ladder(min(-(-even // eighth) * eighth, batch_size), devices)
