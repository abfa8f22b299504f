"""Images that stay on disk until somebody asks for some of them."""

from typing import Any, Protocol

import numpy as np

# Images of more bytes stay on disk, if they lie there as they are.
IN_MEMORY = 2**29


class Rows(Protocol):
  """What can be asked for rows: a memory-mapped array, or `Shards`."""

  @property
  def shape(self) -> tuple[int, ...]: ...

  @property
  def dtype(self) -> np.dtype: ...

  def __len__(self) -> int: ...

  def __getitem__(self, rows: Any) -> Any: ...


class LazyImages:
  """Rows of an array on disk, in an order of its own; reads like a numpy array.

  Args:
    base: uint8 [N, H, W, C], on disk.
    rows: which of its rows, in which order; None is all of them.
  """

  def __init__(self, base: Rows, rows: np.ndarray | None = None):
    self._base = base
    self._rows = np.arange(len(base)) if rows is None else rows

  @property
  def shape(self) -> tuple[int, ...]:
    return (len(self._rows), *self._base.shape[1:])

  @property
  def dtype(self) -> np.dtype:
    return self._base.dtype

  @property
  def nbytes(self) -> int:
    return int(np.prod(self.shape)) * self.dtype.itemsize

  def __len__(self) -> int:
    return len(self._rows)

  def __getitem__(self, rows: Any) -> np.ndarray:
    return np.asarray(self._base[self._rows[rows]])

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    del copy  # reading it is one
    return np.asarray(self[:], dtype)

  def take(self, rows: np.ndarray) -> 'LazyImages':
    """Other rows, still on disk."""
    return LazyImages(self._base, self._rows[rows])
