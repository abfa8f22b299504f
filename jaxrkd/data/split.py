"""`Split`: images, labels and the place of each in its source."""

import dataclasses
from typing import Any

import numpy as np

from jaxrkd.data.lazy import LazyImages


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
  """Part of a data set.

  Attributes:
    image: uint8 [N, H, W, C], or `LazyImages` of these for training images on disk.
    label: int32 [N].
    index: int32 [N], each image's place in its source; random numbers and results are
      tied to it.
    notes: what its source did that a person should know.
    names: of its classes, in the order of their numbers; empty where the source has none.
  """

  image: Any
  label: np.ndarray
  index: np.ndarray
  notes: tuple[str, ...] = ()
  names: tuple[str, ...] = ()

  def __len__(self) -> int:
    return len(self.label)

  def arrays(self) -> dict[str, np.ndarray]:
    """The three arrays by name, in memory."""
    return {'image': np.asarray(self.image), 'label': self.label, 'index': self.index}

  def take(self, rows: np.ndarray) -> 'Split':
    lazy = isinstance(self.image, LazyImages)
    image = self.image.take(rows) if lazy else self.image[rows]
    return dataclasses.replace(
      self, image=image, label=self.label[rows], index=self.index[rows]
    )

  def loaded(self) -> 'Split':
    """The same with its images in memory."""
    return dataclasses.replace(self, image=np.asarray(self.image))
