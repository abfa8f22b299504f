"""Decoded images as the parts of a data set, each numbered by itself."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxrkd.data.decoded_images import Images
from jaxrkd.data.split import Split
from jaxrkd.errors import InputError


def image_parts(
  found: Images, part: np.ndarray, label: np.ndarray, names: Sequence[str], what: str
) -> list[Split]:
  """Divides what was decoded.

  Args:
    found: of all parts.
    part: [N], number of the part of each item, ascending; 0 is trained on.
    label: [N], class number of each item.
    names: of the classes; empty names them by number in messages.
    what: they are, for messages.

  Returns:
    A split for each part; the notes are with the first.

  Raises:
    InputError: of a part, or of a class to train on, nothing could be decoded.
  """
  of, kind = part[found.rows], label[found.rows].astype(np.int32)
  whole = Split(found.image, kind, np.arange(len(kind), dtype=np.int32))
  lost = np.setdiff1d(label[part == 0], kind[of == 0])
  if len(lost) and (of == 0).any():
    name = repr(names[lost[0]]) if len(names) else str(lost[0])
    raise InputError(
      f'{what}: no image of class {name} can be decoded to train on; repair one, or leave the '
      'class out'
    )
  splits = []
  for number in np.unique(part):
    rows = np.flatnonzero(of == number)
    if not len(rows):
      count = np.count_nonzero(part == number)
      raise InputError(f'{what}: none of {count} images can be decoded')
    index = np.arange(len(rows), dtype=np.int32)
    splits.append(replace(whole.take(rows), index=index))
  return [replace(splits[0], notes=found.notes), *splits[1:]]
