"""The page over all runs of a folder, made of the files that they left."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.experiment import run_report
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.tables import COLUMN_KEYS, EVALUATIONS, options
from jaxrkd.report.runs_page import Entry, page
from jaxrkd.runtime import files

PAGE = 'runs.html'
# Folders inside a run that hold runs of their own.
SEEDS = 'seeds'


def write(folder: pathlib.Path) -> pathlib.Path:
  """Writes the page into a folder, and returns its path.

  Runs that were measured in another way stand in a table of their own. Teachers that a run
  trained on its way are on its own page.

  Raises:
    InputError: there are no measured runs in the folder, or the page cannot be written.
  """
  groups: dict[tuple[str, str], list[Entry]] = {}
  left = []
  for run in runs(folder):
    name = run.relative_to(folder).as_posix()
    try:
      way, entry = _entry(run, name)
    except InputError as error:
      left.append(f'{name}: {error}')
    else:
      groups.setdefault(way, []).append(entry)
  if not groups:
    raise InputError(
      f'{str(folder)!r} holds no measured runs; name the workdir of a run, or a folder of them'
    )
  path = folder / PAGE
  files.write_text(path, page(f'Runs in {folder.name}', groups, left))
  return path


def runs(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """The measured runs in a folder and below it, in the order of their names."""
  for place, below, found in os.walk(folder):
    here = 'config.json' in found
    if here and f'{run_report.RESULTS}.json' in found and SEEDS not in below:
      yield pathlib.Path(place)
    # What else is inside a run is its own: checkpoints, teachers, verdicts.
    below[:] = sorted(name for name in below if not here or name == SEEDS)


def _entry(run: pathlib.Path, name: str) -> tuple[tuple[str, str], Entry]:
  """How it was measured, and what came out."""
  results = run / f'{run_report.RESULTS}.json'
  config, found = read_config(run), run_report.read(results)
  config.evaluation = ConfigDict(found['evaluation'])
  version = 'best' if 'best' in found['student'] else next(iter(found['student']))
  row = found['student'][version]
  notes = []
  if found['selection']['split'] == 'test':
    notes.append('selected on the test set')
  if found.get('threat_note'):
    notes.append(found['threat_note'])
  if not found.get('finished', True):
    notes.append('not finished')
  return _way(config, found, row), Entry(
    name=name,
    address=f'{name}/report.html',
    method=config.method.name,
    network=config.student.name,
    clean=(row['clean'], row['clean_interval']),
    worst=(row['worst_case'], row['worst_case_interval']),
    checks=found.get('trust', {}).get('status', 'none'),
    note='; '.join(notes),
  )


def _way(
  config: ConfigDict, found: dict[str, Any], row: dict[str, Any]
) -> tuple[str, str]:
  """How a run was measured, in words: images and ball, attacks.

  Equal words are comparable numbers.
  """
  part = config.evaluation
  name = found.get('data', config.data.name)
  told = []
  for column, node in sorted(part.attacks.to_dict().items()):
    attack = node.get('name', column)
    row_of = EVALUATIONS.get(attack)
    usual = {**COLUMN_KEYS, **(options(row_of) if row_of else {}), 'name': column}
    changed = [f'{k} {v}' for k, v in sorted(node.items()) if v != usual.get(k)]
    told.append(f'{column} ({", ".join(changed)})' if changed else column)
  return (
    f'{name} {part.split}, {row["images"]:,} images, {part.threat.name} eps '
    f'{part.threat.eps:.4g}',
    ', '.join(told),
  )
