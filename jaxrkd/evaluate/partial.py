"""Where an evaluation was when it was last written down."""

import json
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from jaxrkd.runtime import files


class Noted(NamedTuple):
  """What a file of `Partial` says.

  Attributes:
    stage: number of the attack that was at work.
    ledger: arrays, see `cascade.Ledger`.
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
  """

  def __init__(self, path: pathlib.Path, mark: str):
    self._path, self._mark = path, mark

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
    }
    files.write_npz(self._path, arrays, compress=False)

  def read(self) -> Noted | None:
    """Reads the file; None if there is none of these settings, or it is damaged."""
    try:
      with self._path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
        if str(archive['mark']) != self._mark:
          return None
        found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
      return None
    part = lambda prefix: {
      name.removeprefix(prefix): array
      for name, array in found.items()
      if name.startswith(prefix)
    }
    seconds = json.loads(str(found['seconds']))
    held = part('held/') or None
    return Noted(int(found['stage']), part('ledger/'), seconds, held, found.get('found'))

  def remove(self) -> None:
    """Deletes the file: its results are written."""
    self._path.unlink(missing_ok=True)
