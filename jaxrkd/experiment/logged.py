"""What a run logged while it trained."""

import json
import pathlib
from typing import Any

from jaxrkd.experiment.load import member_folder


def logged_rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of metrics.jsonl, oldest first; of an ensemble of runs those of its first.

  Half a line, from a kill, and what is no row are left out. Without the file there are none.
  """
  first = member_folder(workdir, 0)
  path = (first if first.is_dir() else workdir) / 'metrics.jsonl'
  found = []
  if path.is_file():
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
      try:
        row = json.loads(line)
      except ValueError:
        continue
      if isinstance(row, dict):
        found.append(row)
  return found
