"""What is trained and what moves it: all that decides the shape of a run's state."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxrkd.methods import Method
from jaxrkd.runtime import sharding
from jaxrkd.train.networks import TrainedNetworks
from jaxrkd.train.state import Optimizers, TrainState, init_state, run_keys

Array = jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Learner:
  """Networks, the method that trains them, and their optimisers.

  Attributes:
    networks: those that are trained.
    method: what trains them.
    optimizers: what moves them and the method's weights.
    mesh: the devices.
    classes: how many there are, for a method that keeps something for each.
  """

  networks: TrainedNetworks
  method: Method
  optimizers: Optimizers
  mesh: jax.sharding.Mesh
  classes: int = 0

  def init(self, key: Array) -> TrainState:
    """A run before its first step, on the devices.

    Args:
      key: of all its random numbers.
    """
    init_key, step_key, _ = run_keys(key)
    return self._init(init_key, step_key)

  @functools.cached_property
  def like(self) -> TrainState:
    """Shapes, types and shardings of the state."""
    shapes = jax.eval_shape(self._make, *_any_keys())
    return jax.tree.map(
      lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
      shapes,
      sharding.spread(self.mesh, shapes),
    )

  @property
  def places(self) -> Any:
    """How each array of the state lies on the devices."""
    return jax.tree.map(lambda leaf: leaf.sharding, self.like)

  @property
  def _make(self) -> Callable[[Array, Array], TrainState]:
    return functools.partial(
      init_state,
      nets=dict(self.networks.nets),
      method=self.method,
      optimizers=self.optimizers,
      classes=self.classes,
    )

  @functools.cached_property
  def _init(self) -> Callable[[Array, Array], TrainState]:
    return jax.jit(self._make, out_shardings=self.places)


def _any_keys() -> tuple[Array, Array]:
  init_key, step_key, _ = run_keys(jax.random.key(0))
  return init_key, step_key
