"""Where an evaluation was when it was last written down."""

import glob
import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxrkd.runtime import files

# What reading a damaged file, or one of another version, may raise.
DAMAGE = (
  *(OSError, ValueError, KeyError, EOFError, TypeError, NotImplementedError),
  *(zipfile.BadZipFile, zlib.error),
)


class Sketch(NamedTuple):
  """Answers by which a classifier is recognised that has no name.

  Attributes:
    numbers: what it said about images.
    tolerance: of the largest of them: rounding on other devices, and no more.
  """

  numbers: np.ndarray
  tolerance: float


def same_sketch(archive: Mapping[str, np.ndarray], sketch: Sketch | None) -> bool:
  """Whether a file was made by the network with these answers; None asks nothing."""
  if sketch is None:
    return True
  there, here = archive['sketch'], sketch.numbers
  size = float(np.max(np.abs(here[np.isfinite(here)]), initial=0))
  return there.shape == here.shape and np.allclose(
    there, here, rtol=0, atol=sketch.tolerance * size, equal_nan=True
  )


# Places in the images, [n], and adversarial images there, [n, H, W, C].
Rows = tuple[np.ndarray, np.ndarray]


class Noted(NamedTuple):
  """What the files of `Partial` say.

  Attributes:
    stage: number of the attack that was at work.
    ledger: arrays, see `task.Ledger`.
    seconds: so far, by attack.
    held: what was in the lanes, see `cascade.Stage.held`; None for nothing.
    found: adversarial images in the order in which they were noted: later ones count.
  """

  stage: int
  ledger: dict[str, np.ndarray]
  seconds: dict[str, float]
  held: dict[str, np.ndarray] | None
  found: list[Rows]


class Partial:
  """Files beside the results that they become.

  One says how far the evaluation is and is written anew each time. Adversarial images are
  many bytes: those that changed since the note before go to a file of their own.

  Args:
    path: of the first file; the others have numbers behind its name.
    mark: fingerprint of everything the verdicts depend on; files with another are not read.
    sketch: see `verdicts.stored`.
  """

  def __init__(self, path: pathlib.Path, mark: str, sketch: Sketch | None = None):
    self._path, self._mark, self._sketch = path, mark, sketch
    self._parts = 0

  def write(
    self,
    stage: int,
    ledger: dict[str, np.ndarray],
    seconds: dict[str, float],
    held: dict[str, np.ndarray] | None,
    changed: Rows | None,
  ) -> None:
    """Writes the files; arguments as `Noted`.

    Args:
      stage: as there.
      ledger: as there.
      seconds: as there.
      held: as there.
      changed: adversarial images that are new or others than in the notes before.

    Raises:
      InputError: they cannot be written.
    """
    if changed is not None and len(changed[0]):
      # Before the file that counts it: a kill in between leaves one that nobody reads.
      part = {'mark': np.array(self._mark), 'place': changed[0], 'image': changed[1]}
      files.write_npz(self._part(self._parts), part, compress=False)
      self._parts += 1
    arrays = {
      'mark': np.array(self._mark),
      'stage': np.array(stage),
      'parts': np.array(self._parts),
      'seconds': np.array(json.dumps(seconds)),
      **{f'ledger/{name}': array for name, array in ledger.items()},
      **{f'held/{name}': array for name, array in (held or {}).items()},
      **({} if self._sketch is None else {'sketch': self._sketch.numbers}),
    }
    files.write_npz(self._path, arrays, compress=False)

  def read(self) -> Noted | None:
    """Reads the files; None if there are none of these settings, or one is damaged."""
    try:
      found = self._arrays(self._path)
      if not same_sketch(found, self._sketch):
        return None
      seconds, count = json.loads(str(found['seconds'])), int(found['parts'])
      parts = [self._arrays(self._part(number)) for number in range(count)]
      rows = [(part['place'], part['image']) for part in parts]
    except DAMAGE:
      return None
    self._parts = count
    part = lambda prefix: {
      name.removeprefix(prefix): array
      for name, array in found.items()
      if name.startswith(prefix)
    }
    return Noted(
      int(found['stage']), part('ledger/'), seconds, part('held/') or None, rows
    )

  def remove(self) -> None:
    """Deletes the files: their results are written."""
    self._path.unlink(missing_ok=True)
    for path in self._path.parent.glob(f'{glob.escape(self._path.name)}-*'):
      if path.name.removeprefix(f'{self._path.name}-').isdigit():
        path.unlink(missing_ok=True)

  def _part(self, number: int) -> pathlib.Path:
    return self._path.with_name(f'{self._path.name}-{number}')

  def _arrays(self, path: pathlib.Path) -> dict[str, np.ndarray]:
    with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
      if str(archive['mark']) != self._mark:
        raise ValueError('of other settings')
      return {name: archive[name] for name in archive.files}
