"""Devices as a mesh: images split over all of it, large arrays over one of its axes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding

from jaxrkd.errors import InputError

Tree = Any
T = TypeVar('T')


# Arrays of fewer numbers are copied: splitting them costs more than it saves.
LEAST_SPLIT = 2**14


def data_mesh(devices: Sequence[jax.Device] | None = None, fsdp: int = 1) -> Mesh:
  """Some devices, by default all of all processes, as a mesh of `data` x `fsdp`.

  Images are split over both axes, parameters and optimiser states over `fsdp` only
  (`spread`). Auto is written out: `jax.make_mesh` may default to Explicit, under which
  indexing a sharded batch is an error.

  Args:
    devices: which.
    fsdp: length of the second axis.

  Raises:
    InputError: it does not divide their number.
  """
  devices = jax.devices() if devices is None else devices
  if fsdp < 1 or len(devices) % fsdp:
    raise InputError(
      f'config.mesh.fsdp is {fsdp}, which does not divide the {len(devices)} devices; '
      f'choose one of {", ".join(str(k) for k in _divisors(len(devices)))}'
    )
  return jax.make_mesh(
    (len(devices) // fsdp, fsdp),
    ('data', 'fsdp'),
    axis_types=(AxisType.Auto, AxisType.Auto),
    devices=devices,
  )


def _divisors(count: int) -> list[int]:
  return [k for k in range(1, count + 1) if count % k == 0]


def spread(mesh: Mesh, tree: Tree) -> Tree:
  """Shardings for arrays that outlive a step: each large one split over `fsdp`.

  The last of its longest axes that divide is split; where none does, it is copied.

  Args:
    mesh: see `data_mesh`.
    tree: arrays, or shapes of such.
  """
  parts = mesh.shape['fsdp']

  def place(leaf: Any) -> NamedSharding:
    fits = [k for k, length in enumerate(leaf.shape) if length % parts == 0]
    if parts == 1 or leaf.size < LEAST_SPLIT or not fits:
      return replicated(mesh)
    axis = max(fits, key=lambda k: (leaf.shape[k], k))
    return NamedSharding(mesh, jax.P(*[None] * axis, 'fsdp'))

  return jax.tree.map(place, tree)


def gathered(mesh: Mesh, tree: Tree) -> Tree:
  """Inside a step: arrays that `spread` may have split, whole on every device."""
  if mesh.shape['fsdp'] == 1:
    return tree
  return jax.lax.with_sharding_constraint(tree, replicated(mesh))


def replicated(mesh: Mesh) -> NamedSharding:
  """A copy on every device."""
  return NamedSharding(mesh, jax.P())


def rows(mesh: Mesh, axis: int = 0) -> NamedSharding:
  """Axis number `axis` split over all devices."""
  return NamedSharding(mesh, jax.P(*[None] * axis, ('data', 'fsdp')))


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
