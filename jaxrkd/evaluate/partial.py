"""Where an evaluation was when it was last written down."""

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


class Noted(NamedTuple):
  """What a file of `Partial` says.

  Attributes:
    stage: number of the attack that was at work.
    ledger: arrays, see `task.Ledger`.
    seconds: so far, by attack.
    held: what was in the lanes, see `cascade.Stage.held`; None for nothing.
    found: adversarial images; None if they were not kept.
  """

  stage: int
  ledger: dict[str, np.ndarray]
  seconds: dict[str, float]
  held: dict[str, np.ndarray] | None
  found: np.ndarray | None


class Partial:
  """One file beside the results that it becomes.

  Args:
    path: of the file.
    mark: fingerprint of everything the verdicts depend on; a file with another is not read.
    sketch: see `verdicts.stored`.
  """

  def __init__(self, path: pathlib.Path, mark: str, sketch: Sketch | None = None):
    self._path, self._mark, self._sketch = path, mark, sketch

  def write(
    self,
    stage: int,
    ledger: dict[str, np.ndarray],
    seconds: dict[str, float],
    held: dict[str, np.ndarray] | None,
    found: np.ndarray | None,
  ) -> None:
    """Writes the file; arguments as `Noted`.

    Raises:
      InputError: it cannot be written.
    """
    arrays = {
      'mark': np.array(self._mark),
      'stage': np.array(stage),
      'seconds': np.array(json.dumps(seconds)),
      **{f'ledger/{name}': array for name, array in ledger.items()},
      **{f'held/{name}': array for name, array in (held or {}).items()},
      **({} if found is None else {'found': found}),
      **({} if self._sketch is None else {'sketch': self._sketch.numbers}),
    }
    files.write_npz(self._path, arrays, compress=False)

  def read(self) -> Noted | None:
    """Reads the file; None if there is none of these settings, or it is damaged."""
    try:
      with self._path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
        if str(archive['mark']) != self._mark or not same_sketch(archive, self._sketch):
          return None
        found = {name: archive[name] for name in archive.files}
      seconds = json.loads(str(found['seconds']))
    except DAMAGE:
      return None
    part = lambda prefix: {
      name.removeprefix(prefix): array
      for name, array in found.items()
      if name.startswith(prefix)
    }
    held = part('held/') or None
    return Noted(int(found['stage']), part('ledger/'), seconds, held, found.get('found'))

  def remove(self) -> None:
    """Deletes the file: its results are written."""
    self._path.unlink(missing_ok=True)
