"""Checkpoints on disk: asynchronous, checked when read, with a spare.

The only file that knows orbax. Each checkpoint holds the whole state, a small JSON
record, and a digest of every array, so that a damaged file is noticed and the one before
it is used.
"""

import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

Tree = Any
Say = Callable[[str], None]


def _digest(tree: Tree) -> jax.Array:
  """A sum of bits per array: uint32 [number of arrays], computed on the devices."""

  def bits(leaf: jax.Array) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      leaf = jax.random.key_data(leaf)
    if leaf.dtype == jnp.bool_:
      leaf = leaf.astype(jnp.uint8)
    width = leaf.dtype.itemsize
    unsigned = {1: jnp.uint8, 2: jnp.uint16}.get(width, jnp.uint32)
    words = jax.lax.bitcast_convert_type(leaf, unsigned).ravel().astype(jnp.uint32)
    # Weighting by position notices arrays whose parts have changed places.
    return jnp.sum(words * (2 * jnp.arange(words.size, dtype=jnp.uint32) + 1))

  leaves = [bits(leaf) for leaf in jax.tree.leaves(tree)]
  return jnp.stack(leaves) if leaves else jnp.zeros((0,), jnp.uint32)


digest = jax.jit(_digest)


class Checkpoints:
  """The checkpoints of one kind ('last' or 'best') of a run.

  Args:
    folder: where they live; made if missing.
    keep: how many to keep; at least 2, so that a damaged one has a spare.
  """

  def __init__(self, folder: pathlib.Path, keep: int = 2):
    # orbax warns about its own choice of sharding when it has only one.
    warnings.filterwarnings('ignore', message='.*[Ss]harding.*', module='orbax.*')
    self._folder = pathlib.Path(folder).resolve()
    self._manager = ocp.CheckpointManager(
      self._folder, options=ocp.CheckpointManagerOptions(max_to_keep=keep)
    )

  def save(self, step: int, state: Tree, record: dict[str, Any]) -> None:
    """Starts writing; returns before the files are complete."""
    if step in self._manager.all_steps():
      return
    self._manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave({'state': state, 'digest': digest(state)}),
        record=ocp.args.JsonSave({**record, 'step': step}),
      ),
    )

  def restore(self, like: Tree, say: Say = print) -> tuple[Tree, dict[str, Any]] | None:
    """Reads the newest sound checkpoint.

    Args:
      like: arrays or `jax.ShapeDtypeStruct`s with shardings, shaped as the state.
      say: told in one sentence about each checkpoint that had to be skipped.

    Returns:
      (state, record), or None where there is no sound checkpoint.
    """
    self._manager.wait_until_finished()
    target = {
      'state': like,
      'digest': jax.ShapeDtypeStruct((len(jax.tree.leaves(like)),), jnp.uint32),
    }
    for step in sorted(self._manager.all_steps(), reverse=True):
      try:
        found = self._manager.restore(
          step,
          args=ocp.args.Composite(
            state=ocp.args.StandardRestore(target), record=ocp.args.JsonRestore()
          ),
        )
        state = found['state']['state']
        if not bool(jnp.all(digest(state) == found['state']['digest'])):
          raise ValueError('its contents differ from what was written')
      except Exception as error:
        # Damaged files surface as any of a dozen types from three libraries.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        say(
          f'checkpoint {self._folder / str(step)} cannot be read ({reason}); '
          'using the one before it'
        )
        self._forget(step)
        continue
      return state, found['record']
    return None

  def _forget(self, step: int) -> None:
    """Sets a damaged checkpoint aside so that its step can be written again."""
    if jax.process_index() == 0:
      broken = self._folder / str(step)
      aside = self._folder.with_name(f'{self._folder.name}_damaged')
      aside.mkdir(exist_ok=True)
      count = len(list(aside.iterdir()))
      broken.rename(aside / f'{step}_{count}')
    if jax.process_count() > 1:
      from jax.experimental import multihost_utils

      multihost_utils.sync_global_devices(f'set aside {step}')
    self._manager.reload()

  def steps(self) -> list[int]:
    """Steps that have a complete checkpoint, ascending."""
    return sorted(self._manager.all_steps())

  def record(self, step: int) -> dict[str, Any]:
    """The JSON record of one checkpoint."""
    found = self._manager.restore(
      step, args=ocp.args.Composite(record=ocp.args.JsonRestore())
    )
    return found['record']

  def wait(self) -> None:
    """Returns once everything is on disk."""
    self._manager.wait_until_finished()

  def close(self) -> None:
    self._manager.close()
