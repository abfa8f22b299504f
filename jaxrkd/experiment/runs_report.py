"""The page over all runs of a folder, made of the files that they left."""

import os
import pathlib
import urllib.parse
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.evaluate import results as results_of
from jaxrkd.experiment import measured_words, run_report
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
  ways: dict[tuple[str, str, str], list[Entry]] = {}
  left = []
  for run in runs(folder):
    name = run.relative_to(folder).as_posix()
    try:
      way, entry = _entry(run, name)
    except (InputError, *run_report.UNREADABLE) as error:
      left.append(f'{name}: {error}')
    else:
      ways.setdefault(way, []).append(entry)
  groups = _named(ways)
  if not groups:
    raise InputError(
      f'{str(folder)!r} holds no measured runs; name the workdir of a run, or a folder of them'
    )
  path = folder / PAGE
  files.write_text(path, page(f'Runs in {folder.name}', groups, left))
  return path


def _named(
  ways: dict[tuple[str, str, str], list[Entry]],
) -> dict[tuple[str, str], list[Entry]]:
  """Groups by what they are called; where other images have the same name, with their mark."""
  found: dict[tuple[str, str], list[Entry]] = {}
  for (images, attacks, mark), entries in ways.items():
    alike = [other for *words, other in ways if words == [images, attacks]]
    if len(alike) > 1:
      images += (
        f' (images {mark[:8]})' if mark else ' (images of an older version, unknown)'
      )
    found[images, attacks] = entries
  return found


def runs(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """The measured runs in a folder and below it, in the order of their names."""
  for place, below, found in os.walk(folder):
    here = 'config.json' in found
    if here and f'{run_report.RESULTS}.json' in found and SEEDS not in below:
      yield pathlib.Path(place)
    # What else is inside a run is its own: checkpoints, teachers, verdicts.
    below[:] = sorted(name for name in below if not here or name == SEEDS)


def _entry(run: pathlib.Path, name: str) -> tuple[tuple[str, str, str], Entry]:
  """How it was measured, and what came out."""
  results = run / f'{run_report.RESULTS}.json'
  config, found = read_config(run), run_report.read(results)
  config.evaluation = ConfigDict(found['evaluation'])
  version = 'best' if 'best' in found['student'] else next(iter(found['student']))
  row = found['student'][version]
  notes = []
  if found['selection']['split'] == 'test':
    notes.append('selected on the test set')
  # Those of the data stand on its page, as those of its teachers do.
  notes += results_of.notes({**found, 'data_notes': (), 'teachers': {}})
  if not found.get('finished', True):
    notes.append('not finished')
  if any(results_of.star(attack) for attack in row['attacks'].values()):
    notes.append('an attack did not work as it should; see the stars on its page')
  return _way(config, found, row), Entry(
    name=name,
    address=f'{urllib.parse.quote(name)}/report.html',
    method=config.method.name,
    network=config.student.name,
    clean=(row['clean'], row['clean_interval']),
    worst=(row['worst_case'], row['worst_case_interval']),
    checks=found.get('trust', {}).get('status', 'none'),
    note='; '.join(notes),
  )


def _way(
  config: ConfigDict, found: dict[str, Any], row: dict[str, Any]
) -> tuple[str, str, str]:
  """How a run was measured: images and ball in words, attacks in words, mark of the images.

  What is equal in all three is comparable.
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
  precision = part.get('search_precision', 'float32')
  if precision != 'float32':
    told.append(f'searched in {precision}')
  mark = found.get('images', '')
  return (
    f'{name} {part.split}, {row["images"]:,} images, {measured_words.ball(part)}',
    ', '.join(told),
    mark if isinstance(mark, str) else '',
  )
