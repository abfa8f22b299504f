"""Devices: one mesh axis for data, arrays split or copied over it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding

from jaxrkd.errors import InputError

Tree = Any
T = TypeVar('T')


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
  """One axis, `data`, over some devices; by default all of all processes.

  Auto is written out: `jax.make_mesh` may default to Explicit, under which indexing a
  sharded batch is an error.
  """
  devices = jax.devices() if devices is None else devices
  return jax.make_mesh(
    (len(devices),), ('data',), axis_types=(AxisType.Auto,), devices=devices
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """A copy on every device."""
  return NamedSharding(mesh, jax.P())


def rows(mesh: Mesh, axis: int = 0) -> NamedSharding:
  """Axis number `axis` split over the devices."""
  return NamedSharding(mesh, jax.P(*[None] * axis, 'data'))


def put(tree: Tree, sharding: NamedSharding) -> Tree:
  """Host arrays that every process holds in full -> global arrays."""

  def place(leaf: np.ndarray) -> jax.Array:
    leaf = np.asarray(leaf)
    return jax.make_array_from_callback(leaf.shape, sharding, lambda part: leaf[part])

  return jax.tree.map(place, tree)


def check_batch_size(batch_size: int, mesh: Mesh, what: str) -> None:
  """Raises `InputError` unless the devices of the mesh divide `batch_size`."""
  devices = mesh.size
  if batch_size < 1 or batch_size % devices:
    lower = batch_size // devices * devices
    near = f'{lower} or {lower + devices}' if lower else f'{devices}'
    raise InputError(
      f'{what} is {batch_size}, which {devices} devices do not divide; use a multiple of '
      f'{devices}, such as {near}'
    )


def agreed(value: bool) -> bool:
  """The first process's answer, on all: what one sees on disk another may not see yet."""
  if jax.process_count() == 1:
    return value
  return bool(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def seen_by_all(value: bool) -> bool:
  """Whether it holds on every process: what one sees on disk another may not see yet."""
  if jax.process_count() == 1:
    return value
  return bool(np.all(multihost_utils.process_allgather(np.asarray(value))))


def first_then_others(make: Callable[[], T]) -> T:
  """Calls `make` on the first process, then on the others: one downloads, all read."""
  if jax.process_count() == 1:
    return make()
  if is_first_process():
    made = make()
    multihost_utils.sync_global_devices('first_then_others')
    return made
  multihost_utils.sync_global_devices('first_then_others')
  return make()


def is_first_process() -> bool:
  """Whether this process writes files and prints."""
  return jax.process_index() == 0
