"""The final numbers of a run for its experiment trackers."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.runtime import sharding
from jaxrkd.runtime.trackers import Trackers


def tell_trackers(
  config: ConfigDict, workdir: pathlib.Path, found: dict[str, Any]
) -> None:
  """Tells `config.trackers` what results.json says of the student.

  Args:
    config: of the run.
    workdir: of the run, which the trackers go on with.
    found: what results.json holds.
  """
  if not config.trackers:
    return
  told = Trackers(
    config.trackers, workdir, json.loads(config.to_json()), sharding.is_first_process()
  )
  rows = found['student']
  # At one step, the newest: trackers take none that is older than what they have.
  told.write(
    max(row['step'] for row in rows.values()), scalars(rows, config.evaluation.split)
  )
  told.close()


def scalars(rows: Mapping[str, Mapping[str, Any]], split: str) -> dict[str, float]:
  """Name -> accuracy in [0, 1], such as 'test_best_clean' and 'test_best_worst_case'.

  Args:
    rows: of results.json, by version: 'best', 'last', 'ema', 'swa'.
    split: what they were measured on.
  """
  found: dict[str, float] = {}
  for version, row in rows.items():
    measured = {'clean': row['clean'], 'worst_case': row['worst_case']}
    measured |= {name: part['robust'] for name, part in row['attacks'].items()}
    found |= {f'{split}_{version}_{name}': value for name, value in measured.items()}
  return found
