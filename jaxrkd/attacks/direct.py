"""Attacks that are called directly: compiled once for a classifier's code and its shapes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks.base import Attack, example_keys
from jaxrkd.attacks.code import Code, Coded, DependsOnBatch, coded
from jaxrkd.attacks.lanes import LanePrograms
from jaxrkd.attacks.objectives import LogitsFn
from jaxrkd.attacks.stepwise import (
  Cascade,
  Points,
  Stepwise,
  ask,
  fools,
  ranked_targets,
)

Array = jax.Array
# Steps between two looks at which images are done: a share of the attack's steps.
LOOKS, MOST = 20, 50


def classifier(logits_fn: LogitsFn, *given: Any) -> Coded | None:
  """The code of a function that is asked about concrete arrays.

  Args:
    logits_fn: the function.
    given: key, images and labels of a call.

  Returns:
    None inside of a trace, for images on several devices, and for functions whose code
    cannot be told.
  """
  if any(isinstance(value, jax.core.Tracer) for value in given):
    return None
  if len(given[1].sharding.device_set) > 1:
    return None  # spread by the user: each step stays where its images are
  return coded(logits_fn, given[1])


def attacked(
  attack: Attack, logits_fn: LogitsFn, key: Array, images: Array, labels: Array
) -> Array | None:
  """What an attack of one piece makes of images, [B, H, W, C]; None as `classifier`."""
  found = classifier(logits_fn, key, images, labels)
  if found is None:
    return None
  with found.using():
    return _whole(attack, found.code)(found.arrays, key, images, labels)


@functools.lru_cache(maxsize=32)
def _whole(attack: Attack, code: Code) -> Callable[..., Array]:
  def run(arrays: Any, key: Array, images: Array, labels: Array) -> Array:
    return attack.watched(key, code.logits_fn(arrays, ()), images, labels)[0]

  return jax.jit(run)


def cascaded(
  cascade: Cascade, logits_fn: LogitsFn, key: Array, images: Array, labels: Array
) -> Array | None:
  """What attacks that go step by step make of images, [B, H, W, C].

  Returns:
    None as `classifier`, and where a function closes over other arrays for fewer images.
  """
  found = classifier(logits_fn, key, images, labels)
  if found is None:
    return None
  try:
    with found.using():
      return _Run(cascade, found, key, images, labels).to_the_end()
  except DependsOnBatch:
    return None


class _Run:
  """Images on their way through a cascade.

  Args:
    cascade: the attacks.
    found: the classifier.
    key: a key, or [B] keys.
    images: [B, H, W, C].
    labels: [B].
  """

  def __init__(
    self, cascade: Cascade, found: Coded, key: Array, images: Array, labels: Array
  ):
    self._cascade, self._code = cascade, found.code
    self._variables = (found.arrays, ())
    count = images.shape[0]
    keys = key if key.ndim else _keys(key, jnp.arange(count))
    over, targets = _first(found.code)(found.arrays, images, keys, labels)
    self._over, self._targets = np.array(over), np.asarray(targets)
    self._keys, self._images = keys, images
    self._labels = np.asarray(labels, np.int32)
    self._found = np.array(images)

  def to_the_end(self) -> Array:
    count, shape = len(self._labels), self._images.shape[1:]
    for _, attack in self._cascade.attacks:
      programs = _programs(self._code, attack)
      sizes = programs.sizes(count, count, 1, shape)
      for run in range(attack.runs_on(self._targets.shape[1] + 1)):
        standing = np.flatnonzero(~self._over)
        for first in range(0, len(standing), sizes[-1]):
          self._once(programs, sizes, standing[first : first + sizes[-1]], run)
    return jnp.asarray(self._found)

  def _once(
    self, programs: LanePrograms, sizes: list[int], standing: np.ndarray, run: int
  ) -> None:
    """One run of an attack on images that are not broken yet."""
    attack = programs.attack
    place = _filled(standing, sizes)
    label = self._labels[place]
    aim = self._targets[place, min(run, self._targets.shape[1] - 1)]
    points = _points(self._keys, self._images, place, label, aim, run)
    lanes = programs.begin(points, np.arange(len(place)) >= len(standing))
    count, left = min(max(attack.steps // LOOKS, 1), MOST), len(standing)
    while left:
      lanes = programs.advance(self._variables, lanes, count)
      fooled, done, _ = (np.array(a) for a in programs.look(lanes))
      ended = (fooled | (done >= attack.steps))[:left]
      if not ended.any():
        continue
      rows, made = np.flatnonzero(ended), np.asarray(programs.found(lanes))
      self._found[place[rows]] = made[rows]
      self._over[place[rows]] = fooled[rows]
      going = np.flatnonzero(~ended)
      if not len(going):
        return
      # Those that go on move together; into fewer lanes, where so many are free.
      rows = _filled(going, sizes)
      lanes = programs.take(lanes, rows)
      place, left = place[rows], len(going)


def _filled(rows: np.ndarray, sizes: list[int]) -> np.ndarray:
  """The rows, and the first of them again up to the next batch size."""
  size = next(size for size in sizes if size >= len(rows))
  return np.concatenate([rows, np.repeat(rows[:1], size - len(rows))])


@jax.jit
def _points(
  keys: Array, images: Array, place: Array, label: Array, aim: Array, run: int
) -> Points:
  return Points(keys[place], images[place], label, aim, jnp.full_like(label, run))


_keys = jax.jit(example_keys)


@functools.lru_cache(maxsize=32)
def _programs(code: Code, attack: Stepwise) -> LanePrograms:
  return LanePrograms(code, attack)


@functools.lru_cache(maxsize=32)
def _first(code: Code) -> Callable[..., tuple[Array, Array]]:
  """Which images are wrong without an attack, and the wrong classes by their ranks."""

  def look(arrays: Any, images: Array, keys: Array, labels: Array) -> tuple[Array, Array]:
    logits = ask(code.logits_fn(arrays, ()), images, keys)
    return fools(logits, labels), ranked_targets(logits, labels)

  return jax.jit(look)
