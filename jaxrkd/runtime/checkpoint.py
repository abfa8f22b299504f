"""Checkpoints on disk: asynchronous, checked when read, with a spare.

The only file that knows orbax. Each checkpoint holds the whole state, a small JSON
record, and a digest of every array, so that a damaged file is noticed and the one before
it is used.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from jaxrkd.paths import check_letters
from jaxrkd.runtime import files
from jaxrkd.runtime.guards import check_own
from jaxrkd.runtime.quiet import quieten

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
    weights = 2 * jnp.arange(words.size, dtype=jnp.uint32) + 1
    return jnp.sum(words * weights, dtype=jnp.uint32)  # which float64 mode would widen

  leaves = [bits(leaf) for leaf in jax.tree.leaves(tree)]
  return jnp.stack(leaves) if leaves else jnp.zeros((0,), jnp.uint32)


digest = jax.jit(_digest)


class Checkpoints:
  """The checkpoints of one kind ('last' or 'best') of a run.

  Args:
    folder: where they live; made if missing.
    keep: how many to keep; at least 2, so that a damaged one has a spare; None keeps all.
    writable: False leaves the folder as it is: another run's.

  Raises:
    InputError: here and by all that writes, the disk is full, or the like; what was complete
      before is as it was.
  """

  def __init__(self, folder: pathlib.Path, keep: int | None = 2, writable: bool = True):
    # orbax warns about its own choice of sharding when it has only one.
    warnings.filterwarnings('ignore', message='.*[Ss]harding.*', module='orbax.*')
    self._folder = pathlib.Path(folder).resolve()
    check_letters(self._folder)
    options = ocp.CheckpointManagerOptions(
      max_to_keep=keep,
      # 'last' and 'best' may be written at once; each waits for its own processes.
      multiprocessing_options=ocp.options.MultiprocessingOptions(
        barrier_sync_key_prefix=self._folder.name
      ),
    )
    self._failed, self._step = False, 0
    with self._writing():
      if writable:
        self._folder.mkdir(parents=True, exist_ok=True)
      self._manager = ocp.CheckpointManager(self._folder, options=options)
    self._damaged: set[int] = set()
    self._writable = writable

  def save(self, step: int, state: Tree, record: dict[str, Any]) -> None:
    """Starts writing; returns before the files are complete.

    Args:
      step: its name; also the record's `step`, unless the record has one.
      state: arrays.
      record: JSON.
    """
    check_own(self._folder)
    quieten()
    if step in self._damaged:
      self._set_aside(step)
    if step in self._manager.all_steps():
      return
    self._finish()
    self._note_sizes()
    self._step = step
    with self._writing():
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave({'state': state, 'digest': digest(state)}),
          record=ocp.args.JsonSave({'step': step, **record}),
        ),
      )

  def restore(
    self, like: Tree, say: Say = print, only: int | None = None
  ) -> tuple[Tree, dict[str, Any]] | None:
    """Reads the newest sound checkpoint.

    Args:
      like: arrays or `jax.ShapeDtypeStruct`s with shardings, shaped as the state.
      say: told in one sentence about each checkpoint that had to be skipped.
      only: read this one instead.

    Returns:
      (state, record), or None where there is no sound checkpoint.
    """
    self._finish()
    leaves = jax.tree.leaves(like)
    target = {
      'state': like,
      'digest': jax.ShapeDtypeStruct(
        (len(leaves),), jnp.uint32, sharding=leaves[0].sharding
      ),
    }
    steps = sorted(self._manager.all_steps(), reverse=True)
    for step in steps if only is None else [only]:
      try:
        # First, because a reader that meets a cut file prints pages from its threads.
        self._check_sizes(step)
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
          'looking for the one before it'
        )
        self._damaged.add(step)
        continue
      return state, found['record']
    return None

  def set_aside_after(self, step: int) -> None:
    """Moves checkpoints newer than `step` away: training is about to make them again.

    They may come out differently, and orbax ignores a checkpoint older than its newest.
    """
    for newer in [s for s in self._manager.all_steps() if s > step]:
      self._set_aside(newer)

  def _sizes_file(self) -> pathlib.Path:
    return self._folder.with_name(f'{self._folder.name}_sizes.json')

  def _sizes_noted(self) -> dict[str, dict[str, int]]:
    try:
      return json.loads(self._sizes_file().read_text(encoding='utf-8'))
    except (OSError, ValueError):
      return {}

  def _note_sizes(self) -> None:
    """Remembers the sizes of the files of every complete checkpoint."""
    if jax.process_index() or not self._writable:
      return
    noted = self._sizes_noted()
    steps = [str(step) for step in self._manager.all_steps()]
    files.write_json(
      self._sizes_file(),
      {step: noted.get(step) or _sizes(self._folder / step) for step in steps},
    )

  def _check_sizes(self, step: int) -> None:
    now = _sizes(self._folder / str(step))
    for name, size in self._sizes_noted().get(str(step), {}).items():
      if now.get(name, 0) != size:
        raise ValueError(f'{name} has {now.get(name, 0)} bytes instead of {size}')

  def _set_aside(self, step: int) -> None:
    """Makes room for a step whose checkpoint on disk is damaged or out of date."""
    check_own(self._folder)
    self._damaged.discard(step)
    if jax.process_index() == 0:
      broken = self._folder / str(step)
      aside = self._folder.with_name(f'{self._folder.name}_aside')
      with files.writing(aside):
        aside.mkdir(exist_ok=True)
        count = len(list(aside.iterdir()))
        broken.rename(aside / f'{step}_{count}')
    if jax.process_count() > 1:
      from jax.experimental import multihost_utils

      multihost_utils.sync_global_devices(f'set aside {step}')
    self._manager.reload()
    self._note_sizes()

  def steps(self) -> list[int]:
    """Steps that have a complete checkpoint, ascending."""
    return sorted(self._manager.all_steps())

  def newest_record(self) -> dict[str, Any] | None:
    """The JSON record of the newest checkpoint that has a readable one."""
    for step in reversed(self.steps()):
      try:
        found = self._manager.restore(
          step, args=ocp.args.Composite(record=ocp.args.JsonRestore())
        )
        return found['record']
      except Exception:
        continue  # `restore` says what is wrong with it
    return None

  def wait(self) -> None:
    """Returns once everything is on disk."""
    self._finish()
    self._note_sizes()

  def close(self) -> None:
    if self._failed:
      with contextlib.suppress(Exception):  # it was said before
        self._manager.close()
      return
    try:
      self.wait()
    finally:
      self._manager.close()

  def _finish(self) -> None:
    with self._writing():
      self._manager.wait_until_finished()

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Tells in one sentence what orbax says of the disk, in a dozen ways."""
    try:
      yield
    except Exception as error:
      reason = disk_trouble(error)
      if not reason:
        raise
      self._failed = True
      if jax.process_index() == 0:
        for half in self._folder.glob(f'{self._step}.*tmp*'):
          shutil.rmtree(half, ignore_errors=True)
      # Training goes on from 'last', whichever kind could not be written.
      kept = files.kept(self._folder.with_name('last'))
      place = self._folder / str(self._step) if self._step else self._folder
      raise files.cannot_write(place, reason, kept) from error


def disk_trouble(error: BaseException | None) -> str:
  """What the system said of the disk, if that is what an error comes from; else empty."""
  while error is not None:
    elsewhere = isinstance(error, ConnectionError | TimeoutError)  # not of the disk
    if isinstance(error, OSError) and error.errno and not elsewhere:
      return error.strerror or str(error)
    # tensorstore's errors are texts.
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code:
      return os.strerror(int(code[1]))
    if isinstance(error, BaseExceptionGroup):
      found = filter(None, map(disk_trouble, error.exceptions))
      return next(found, '')
    error = error.__cause__
  return ''


def _sizes(folder: pathlib.Path) -> dict[str, int]:
  return {
    path.relative_to(folder).as_posix(): path.stat().st_size
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }
