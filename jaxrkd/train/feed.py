"""What a step gets as data: the whole set on the devices, or its batch from the host."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import jax
import numpy as np

from jaxrkd.data.split import Split
from jaxrkd.data.stream import Stream
from jaxrkd.errors import InputError
from jaxrkd.runtime import sharding
from jaxrkd.train.setup import Setup

# Epoch -> positions [steps, B].
Order = Callable[[int], jax.Array]
# What `Setup.step` takes as data and order.
Given = tuple[dict[str, jax.Array], jax.Array]


class Feed(Protocol):
  """Where data come from."""

  def next(self, step: int) -> Given:
    """What step number `step`, from 0, gets; to be called for one after the other."""
    ...

  def state(self) -> dict[str, Any]:
    """What a checkpoint must hold of it."""
    ...


class Resident:
  """The whole set lies on every device; an epoch's order is all that changes."""

  def __init__(self, setup: Setup, order: Order):
    self._data, self._order = setup.device_data(), order
    self._per_epoch, self._epoch = setup.steps_per_epoch, -1

  def next(self, step: int) -> Given:
    if step // self._per_epoch != self._epoch:
      self._epoch = step // self._per_epoch
      self._positions = self._order(self._epoch)
    return self._data, self._positions

  def state(self) -> dict[str, Any]:
    return {}


class Streamed:
  """Batches are read on the host, each process its rows, some steps ahead.

  They are the same batches, in the same order, as those of `Resident`.

  Args:
    setup: see `prepare`.
    order: epoch -> positions [steps, B].
    first: step to begin with.
    state: see `Stream`.
  """

  def __init__(self, setup: Setup, order: Order, first: int, state: dict[str, Any]):
    self._setup, self._order = setup, order
    self._parts = [setup.data.train]
    if setup.data.extra is not None:
      self._parts.append(setup.data.extra)
    self._place = sharding.rows(setup.mesh)
    shape = (setup.batch_size,)
    owned = self._place.addressable_devices_indices_map(shape).values()
    # This process's rows of a batch, each once.
    self._rows = np.unique(np.concatenate([np.arange(*shape)[part] for part in owned]))
    self._orders: dict[int, np.ndarray] = {}
    self._lock = threading.Lock()
    self._stream = Stream(self._read, setup.total_steps, first, state)
    self._ready: list[tuple[Given, dict[str, Any]]] = []
    self._state = self._stream.state()

  def _positions(self, epoch: int) -> np.ndarray:
    # The reader's threads ask at once where an epoch ends.
    with self._lock:
      if epoch not in self._orders:
        # Computed by this process alone: a pure function of the seed and the epoch.
        found = np.asarray(jax.device_get(self._order(epoch)))
        self._orders = {k: v for k, v in self._orders.items() if k >= epoch - 1}
        self._orders[epoch] = found
      return self._orders[epoch]

  def _read(self, step: int) -> dict[str, np.ndarray]:
    per_epoch = self._setup.steps_per_epoch
    positions = self._positions(step // per_epoch)[step % per_epoch]
    own = positions[self._rows]
    return {**_take(self._parts, np.maximum(own, 0)), 'position': own}

  def next(self, step: int) -> Given:
    del step
    # One batch is on its way to the devices while another is computed with (of one CPU
    # device, whose steps the host runs itself, only the reading goes on meanwhile).
    while len(self._ready) < 2 and not self._over():
      host = next(self._stream)
      self._ready.append((self._put(host), self._stream.state()))
    given, self._state = self._ready.pop(0)
    return given

  def _over(self) -> bool:
    return self._stream.state()['next_index'] >= self._setup.total_steps

  def state(self) -> dict[str, Any]:
    return self._state

  def _put(self, host: dict[str, np.ndarray]) -> Given:
    size = self._setup.batch_size

    def place(leaf: np.ndarray) -> jax.Array:
      whole = (size, *leaf.shape[1:])
      part = lambda index: leaf[np.searchsorted(self._rows, np.arange(size)[index[0]])]
      return jax.make_array_from_callback(whole, self._place, part)

    data = {name: place(leaf) for name, leaf in host.items()}
    return data, data['position'][None]


def _take(parts: list[Split], positions: np.ndarray) -> dict[str, np.ndarray]:
  """Rows of the training set, followed by the extra images."""
  first = len(parts[0])
  found = {}
  for name in ('image', 'label', 'index'):
    arrays = [getattr(part, name) for part in parts]
    rows = np.empty((len(positions), *arrays[0].shape[1:]), arrays[0].dtype)
    real = positions < first
    rows[real] = arrays[0][positions[real]]
    if not real.all():
      rows[~real] = arrays[1][positions[~real] - first]
    found[name] = rows
  return found


def make_feed(
  setup: Setup, order: Order, first: int, state: dict[str, Any], several: bool = False
) -> Feed:
  """Where a run's data come from, as its config says.

  Args:
    setup: see `prepare`.
    order: epoch -> positions [..., steps, B].
    first: the next step.
    state: of the feed when that was saved.
    several: whether several runs share it.

  Raises:
    InputError: several seeds of streamed data.
  """
  if not setup.streamed:
    return Resident(setup, order)
  if several:
    raise InputError(
      'config.seeds trains several runs on one copy of the data, but these data are '
      'streamed; set config.stream=never, or give one --config.seed'
    )
  return Streamed(setup, order, first, state)
