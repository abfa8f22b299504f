"""What is compiled for a measurement: an attack's lanes on all devices, and the last word.

The verdict on an image rests on `evaluator`; lanes are those of `attacks.lanes`.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.attacks import Stepwise, Threat, example_keys
from jaxrkd.attacks.lanes import Classifier, LanePrograms
from jaxrkd.attacks.stepwise import Lanes, Points, ask, possible, ranked_targets, sound
from jaxrkd.runtime import sharding
from jaxrkd.runtime.precision import float32_products

Array = jax.Array
Tree = Any
# How far outside the ball rounding may put an image; beyond it, an attack has a defect.
SLACK = 1e-4


class MeshPrograms(LanePrograms):
  """Lanes over all devices; see `LanePrograms`."""

  def __init__(self, net: Classifier, attack: Stepwise, mesh: jax.sharding.Mesh):
    self._rows = sharding.rows(mesh)
    super().__init__(net, attack, self._rows, sharding.replicated(mesh))
    self._pointed = jax.jit(_points, out_shardings=self._rows)

  def enter(self, key: Array, batch: dict[str, np.ndarray], idle: np.ndarray) -> Lanes:
    """Lanes before their first step.

    Args:
      key: of the measurement; an image's own follows from its index.
      batch: `index`, `clean`, `label`, `target` and `run`, one row for each lane.
      idle: [B], lanes that are through before they begin.
    """
    placed, through = sharding.put((batch, idle), self._rows)
    return self.begin(self._pointed(key, placed), through)


def _points(key: Array, batch: dict[str, Array]) -> Points:
  fields = (batch[name] for name in ('clean', 'label', 'target', 'run'))
  return Points(example_keys(key, batch['index']), *fields)


@functools.lru_cache(maxsize=32)
def programs(net: Classifier, attack: Stepwise, mesh: jax.sharding.Mesh) -> MeshPrograms:
  """Builds them; the same arguments give the same object, already compiled."""
  return MeshPrograms(net, attack, mesh)


class Evaluation(NamedTuple):
  """What a network says about images, one row each, on devices or as numpy arrays.

  Attributes:
    prediction: [B].
    margin: [B], largest wrong logit minus the true one.
    finite: [B], whether logits are numbers, or minus infinity for masked classes.
    targets: [B, classes - 1], wrong classes, most likely first.
    possible: [B], how many of these are not masked.
    allowed: [B], whether the image lies in [0, 1] and in the ball.
  """

  prediction: Any
  margin: Any
  finite: Any
  targets: Any
  possible: Any
  allowed: Any

  def right(self, labels: Any) -> np.ndarray:
    """Where the prediction is the label and rests on numbers, [B]."""
    right = (self.prediction == labels) & (self.margin <= 0) & self.finite
    return np.asarray(right)


class Evaluator:
  """Asks a network about images: the last word on each.

  float32 means all its digits here, on every device.

  Args:
    net: the network.
    mesh: the devices.
    threat: what an image must lie in to be allowed; None allows any change.
  """

  def __init__(self, net: Classifier, mesh: jax.sharding.Mesh, threat: Threat | None):
    self._net, self._threat, self._rows = net, threat, sharding.rows(mesh)
    self._ask = jax.jit(self._evaluated, out_shardings=sharding.replicated(mesh))
    # Batch sizes that were compiled, by the shape of an image.
    self._compiled: dict[tuple[int, ...], set[int]] = {}

  def __call__(
    self, variables: Tree, key: Array, batch: dict[str, np.ndarray]
  ) -> 'Evaluation':
    """The answers on every process.

    Args:
      variables: of the network.
      key: for a network that draws.
      batch: `index`, `label`, `image` and `clean`.
    """
    shape = batch['image'].shape
    self._compiled.setdefault(shape[1:], set()).add(shape[0])
    return self._ask(variables, key, sharding.put(batch, self._rows))

  def size(self, count: int, sizes: list[int], image_shape: tuple[int, ...]) -> int:
    """The batch size for the next of `count` images.

    One that is compiled where it is not much too large; where it is somewhat too small,
    the rest has a batch of its own.

    Args:
      count: images that are left.
      sizes: those allowed, ascending.
      image_shape: (H, W, C).
    """
    fits = next((size for size in sizes if size >= count), sizes[-1])
    known = sorted(self._compiled.get(image_shape, set()).intersection(sizes))
    near = [size for size in known if size >= fits and size <= 4 * fits]
    if near:
      return near[0]
    return known[-1] if known and 2 * known[-1] >= fits else fits

  def _evaluated(
    self, variables: Tree, key: Array, batch: dict[str, Array]
  ) -> 'Evaluation':
    images, labels = batch['image'], batch['label']
    keys = example_keys(key, batch['index'])
    with float32_products():
      logits = ask(self._net.logits_fn(*variables), images, keys)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    axes = tuple(range(1, images.ndim))
    allowed = jnp.all((images >= 0) & (images <= 1), axis=axes)
    if self._threat is not None:
      far = self._threat.norm(images - batch['clean']).reshape(-1)
      allowed &= far <= self._threat.eps * (1 + SLACK) + 1e-6
    return Evaluation(
      prediction=jnp.argmax(logits, -1).astype(jnp.int32),
      margin=losses.margin(logits, labels),
      finite=sound(logits),
      targets=ranked_targets(logits, labels),
      possible=possible(logits, labels),
      allowed=allowed,
    )


@functools.lru_cache(maxsize=64)
def evaluator(
  net: Classifier, mesh: jax.sharding.Mesh, threat: Threat | None
) -> Evaluator:
  """Builds one; the same arguments give the same object, already compiled."""
  return Evaluator(net, mesh, threat)
