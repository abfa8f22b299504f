"""The state of a run: everything that a checkpoint must hold to continue exactly."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax

from jaxrkd.methods import Method
from jaxrkd.models import Net
from jaxrkd.train.averages import first_averages

Array = jax.Array
Tree = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NetState:
  """One trained network.

  Attributes:
    params: what gradients move.
    stats: running statistics and the like.
    opt: state of its optimiser.
    average: moving average of `params`, an empty tree where none is kept; or `Averages`,
      where one over epochs is kept, too.
  """

  params: Tree
  stats: Tree
  opt: Tree
  average: Tree


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
  """A run between two steps.

  Attributes:
    step: updates done.
    key: folded with the step, never advanced.
    nets: trained networks by name.
    weights: the method's own weights, moved by optax.
    weights_opt: state of that optimiser.
    memory: what the method remembers.
  """

  step: Array
  key: Array
  nets: dict[str, NetState]
  weights: Tree
  weights_opt: Tree
  memory: Tree


@dataclasses.dataclass(frozen=True)
class Optimizers:
  """What moves the networks and the method's weights.

  Attributes:
    student: transformation of network gradients.
    weights: transformation of the method's weight gradients.
    ema_decay: share of the old average that stays; 0 keeps no average.
    ema_warmup: see `optimizers.ema.update_average`.
    swa_start: the first epoch, from 1, whose end counts in an average over epochs; 0 keeps
      none.
    swa_decay: see `averages.updated`.
    rate: updates done -> the student's learning rate relative to its peak, for methods
      whose own rates fall with it; None is 1.
  """

  student: optax.GradientTransformation
  weights: optax.GradientTransformation
  ema_decay: float = 0.0
  ema_warmup: bool = True
  rate: Callable[[Array], Array] | None = None
  swa_start: int = 0
  swa_decay: float = 0.0


def run_keys(key: Array) -> tuple[Array, Array, Array]:
  """Independent keys of a run: initial values, steps, order of the data."""
  init_key, step_key, order_key = jax.random.split(key, 3)
  return init_key, step_key, order_key


def init_state(
  init_key: Array,
  step_key: Array,
  *,
  nets: dict[str, Net],
  method: Method,
  optimizers: Optimizers,
  classes: int = 0,
) -> TrainState:
  """A run before its first step; a pure function of the keys."""
  states = {}
  for number, (name, net) in enumerate(sorted(nets.items())):
    params, stats = net.init(jax.random.fold_in(init_key, number))
    average = first_averages(
      params, bool(optimizers.ema_decay), bool(optimizers.swa_start)
    )
    states[name] = NetState(params, stats, optimizers.student.init(params), average)
  own = method.init(optimizers.weights, classes)
  return TrainState(
    step=own.step,
    key=step_key,
    nets=states,
    weights=own.weights,
    weights_opt=own.weights_opt,
    memory=own.memory,
  )
