"""Compiled pieces that move a fixed number of images through an attack, step by step.

A lane is a place in the batch. Images enter a lane when it is free and leave it when they
are broken or through; no image knows of its neighbours, so its verdict does not depend on
when it entered, where, or beside whom.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import LogitsFn, Stepwise, Threat, example_keys
from jaxrkd.attacks.loop import slow_in_loop
from jaxrkd.attacks.stepwise import (
  Lanes,
  Points,
  advance,
  advance_once,
  ask,
  not_finite,
  pick,
  ranked_targets,
  sound,
)
from jaxrkd.runtime import sharding
from jaxrkd.runtime.precision import float32_products

Array = jax.Array
Tree = Any
# Halvings of the batch for the last images: each is one more compilation.
HALVINGS = 3
# How far outside the ball rounding may put an image; beyond it, an attack has a defect.
SLACK = 1e-4


class Classifier(Hashable, Protocol):
  """What is measured: `models.Net`, or anything else with this function."""

  def logits_fn(self, params: Tree, stats: Tree, /) -> LogitsFn: ...


class Programs(NamedTuple):
  """The compiled pieces for one network and attack.

  Attributes:
    begin: (key, batch, idle [B]) -> lanes; `batch` has `index`, `clean`, `label`, `target`
      and `run`; idle lanes are through before they begin.
    merge: (fresh [B] bool, new lanes, old lanes) -> lanes.
    advance: (variables, lanes, count) -> lanes, up to `count` steps on.
    look: lanes -> (fooled [B], done [B], not_finite [B]), on every process.
    found: lanes -> [B, H, W, C], on every process.
    resume: (refuted [B] bool, lanes) -> lanes that go on as if those were not fooled.
    take: (lanes, places [B']) -> other lanes, B' of them.
    whole: lanes -> every leaf on every process, keys as numbers.
    restore: the other way.
  """

  begin: Callable[..., Lanes]
  merge: Callable[..., Lanes]
  advance: Callable[[Tree, Lanes, int], Lanes]
  look: Callable[[Lanes], tuple[Array, Array, Array]]
  found: Callable[[Lanes], Array]
  resume: Callable[[Array, Lanes], Lanes]
  take: Callable[[Lanes, Any], Lanes]
  whole: Callable[[Lanes], Lanes]
  restore: Callable[[Lanes], Lanes]


@functools.lru_cache(maxsize=32)
def programs(net: Classifier, attack: Stepwise, mesh: jax.sharding.Mesh) -> Programs:
  """Builds them; the same arguments give the same object, already compiled."""
  rows, everywhere = sharding.rows(mesh), sharding.replicated(mesh)

  def on_rows(function: Callable, **options: Any) -> Callable:
    return jax.jit(function, out_shardings=rows, **options)

  def on_all(function: Callable) -> Callable:
    return jax.jit(function, out_shardings=everywhere)

  def begin(key: Array, batch: dict[str, Array], idle: Array) -> Lanes:
    fields = (batch[name] for name in ('clean', 'label', 'target', 'run'))
    points = Points(example_keys(key, batch['index']), *fields)
    done = jnp.where(idle, attack.steps, 0).astype(jnp.int32)
    return Lanes(points, attack.begin(points), done)

  def merge(fresh: Array, new: Lanes, old: Lanes) -> Lanes:
    return jax.tree.map(lambda a, b: pick(fresh, a, b), new, old)

  def steps(variables: Tree, lanes: Lanes, count: Array) -> Lanes:
    return advance(attack, net.logits_fn(*variables), lanes, count)

  def resume(refuted: Array, lanes: Lanes) -> Lanes:
    return lanes._replace(state=attack.refuted(lanes.state, refuted))

  def take(lanes: Lanes, places: Array) -> Lanes:
    return jax.tree.map(lambda leaf: leaf[places], lanes)

  def whole(lanes: Lanes) -> Lanes:
    key = jax.random.key_data(lanes.points.key)
    return lanes._replace(points=lanes.points._replace(key=key))

  def restore(lanes: Lanes) -> Lanes:
    key = jax.random.wrap_key_data(lanes.points.key)
    return lanes._replace(points=lanes.points._replace(key=key))

  def step(variables: Tree, lanes: Lanes) -> Lanes:
    return advance_once(attack, net.logits_fn(*variables), lanes)

  many, single = (on_rows(f, donate_argnums=1) for f in (steps, step))
  one_by_one: list[bool] = []

  def advanced(variables: Tree, lanes: Lanes, count: int) -> Lanes:
    if not one_by_one:
      one_by_one.append(slow_in_loop(lambda lanes: step(variables, lanes), lanes))
    if not one_by_one[0]:
      return many(variables, lanes, count)
    # Inside a loop its convolutions would be several times slower: the loop is here.
    for _ in range(count):
      lanes = single(variables, lanes)
    return lanes

  return Programs(
    begin=on_rows(begin),
    merge=on_rows(merge),
    advance=advanced,
    look=on_all(lambda lanes: (lanes.state.fooled, lanes.done, not_finite(lanes.state))),
    found=on_all(lambda lanes: lanes.state.found),
    resume=on_rows(resume),
    take=on_rows(take),
    whole=on_all(whole),
    restore=on_rows(restore),
  )


class Look(NamedTuple):
  """What a network says about images, one row each, on devices or as numpy arrays.

  Attributes:
    prediction: [B].
    margin: [B], largest wrong logit minus the true one.
    finite: [B], whether logits are numbers, or minus infinity for masked classes.
    targets: [B, classes - 1], wrong classes, most likely first.
    allowed: [B], whether the image lies in [0, 1] and in the ball.
  """

  prediction: Any
  margin: Any
  finite: Any
  targets: Any
  allowed: Any

  def right(self, labels: Any) -> np.ndarray:
    """Where the prediction is the label and rests on numbers, [B]."""
    right = (self.prediction == labels) & (self.margin <= 0) & self.finite
    return np.asarray(right)


@functools.lru_cache(maxsize=64)
def looker(net: Classifier, mesh: jax.sharding.Mesh, threat: Threat | None) -> Callable:
  """Builds (variables, key, batch) -> `Look` on every process.

  `batch` has `index`, `label`, `image` and `clean`; `threat` None allows any change. This is
  what verdicts rest on, so float32 means all its digits on every device.
  """

  def look(variables: Tree, key: Array, batch: dict[str, Array]) -> Look:
    images, labels = batch['image'], batch['label']
    keys = example_keys(key, batch['index'])
    with float32_products():
      logits = ask(net.logits_fn(*variables), images, keys)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    axes = tuple(range(1, images.ndim))
    allowed = jnp.all((images >= 0) & (images <= 1), axis=axes)
    if threat is not None:
      far = threat.norm(images - batch['clean']).reshape(-1)
      allowed &= far <= threat.eps * (1 + SLACK) + 1e-6
    return Look(
      prediction=jnp.argmax(logits, -1).astype(jnp.int32),
      margin=losses.margin(logits, labels),
      finite=sound(logits),
      targets=ranked_targets(logits, labels),
      allowed=allowed,
    )

  return jax.jit(look, out_shardings=sharding.replicated(mesh))


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
