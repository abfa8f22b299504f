"""Small files written so that a kill leaves the old one or the new one, never half."""

import json
import os
import pathlib
from typing import Any

import numpy as np


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes `value` as indented JSON."""
  temporary = path.with_name(f'.{path.name}.{os.getpid()}')
  temporary.write_text(json.dumps(value, indent=2) + '\n')
  os.replace(temporary, path)


def write_npz(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
  """Writes named arrays, compressed."""
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'.{path.name}.{os.getpid()}')
  with temporary.open('wb') as file:
    np.savez_compressed(file, allow_pickle=False, **arrays)
  os.replace(temporary, path)
