"""Batches read on the host while the devices compute: the only file that knows grain."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Steps read ahead, and by how many threads.
AHEAD, THREADS = 8, 4


class Stream:
  """The steps of a run in order, from any step on.

  Args:
    read: step -> arrays of that step.
    steps: how many there are.
    first: the one to begin with.
    state: what `state` gave when the run was saved; empty begins at `first`.
  """

  def __init__(
    self,
    read: Callable[[int], dict[str, np.ndarray]],
    steps: int,
    first: int = 0,
    state: dict[str, Any] | None = None,
  ):
    import grain

    class Steps:
      """What grain calls a random access source."""

      def __len__(self) -> int:
        return steps

      def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return read(int(step))

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    self._steps = iter(grain.MapDataset.source(Steps()).to_iter_dataset(options))
    self._steps.set_state(state or {**self._steps.get_state(), 'next_index': first})

  def __next__(self) -> dict[str, np.ndarray]:
    return next(self._steps)

  def state(self) -> dict[str, Any]:
    """Where it is: a small dictionary for a checkpoint."""
    return dict(self._steps.get_state())
