"""What a study leaves: table.json, .csv and .md, figures, its page, and an index over all."""

import csv
import io
import json
import pathlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

from jaxrkd.evaluate import results
from jaxrkd.experiment.study import Figure
from jaxrkd.experiment.study_plan import Plan
from jaxrkd.experiment.study_run import Outcome, place
from jaxrkd.experiment.study_table import (
  Entries,
  Entry,
  entries,
  judge,
  seconds_per_epoch,
)
from jaxrkd.paths import absolute
from jaxrkd.report import plots, study_page
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

TABLE = 'table.json'


def write(
  name: str,
  scale: str,
  plan: Plan,
  outcome: Outcome,
  root: str | pathlib.Path,
  command: str,
) -> dict[str, Any]:
  """Writes everything into `root/NAME-SCALE`; returns what table.json holds.

  Args:
    name: of the study.
    scale: of it.
    plan: what was wanted.
    outcome: what became of it.
    root: folder of all studies.
    command: that does all this again.
  """
  root = absolute(root)
  folder = root / f'{pathlib.Path(name).stem}-{scale}'
  cells = entries(plan.study, outcome)
  found = record(scale, plan, outcome, cells, root, command)
  if sharding.is_first_process():
    files.write_json(folder / TABLE, found)
    files.write_text(folder / 'table.md', study_page.markdown(found) + '\n')
    files.write_text(folder / 'table.csv', _csv(found))
    drawn = {}
    for figure in plan.study.figures:
      made = draw(figure, plan, outcome, cells)
      if made is not None:
        stem = figure.name.lower().replace(' ', '_')
        drawn[figure.name] = plots.write(made, folder, stem)
    files.write_text(folder / 'index.html', study_page.page(found, drawn))
    files.write_text(root / 'index.html', study_page.index(_others(root)))
  say(f'\n{study_page.markdown(found)}\n')
  for claim in found['claims']:
    say(f'{claim["verdict"]}: {claim["text"]}')
  for row, why in outcome.failed.items():
    say(f'{row}: failed: {why}')
  say(f'page: {folder / "index.html"}')
  return found


def record(
  scale: str,
  plan: Plan,
  outcome: Outcome,
  cells: Entries,
  root: pathlib.Path,
  command: str,
) -> dict[str, Any]:
  """What table.json holds: all that the page shows, as JSON."""
  study = plan.study
  judged = judge(study, cells)
  about = results.versions()
  return {
    'paper': study.paper,
    'item': study.item,
    'asks': study.asks,
    'scale': scale,
    'scale_says': plan.scale.says,
    'seeds': sorted({one.seed for one in plan.wanted}),
    'columns': [column.title for column in study.columns],
    'rows': [
      {
        'block': row.block,
        'name': row.name,
        'at': row.at,
        'line': row.line,
        'cells': {title: _cell(entry) for title, entry in cells[row.key].items()},
      }
      for row in study.rows
    ],
    'claims': [
      {'text': one.claim.text, 'verdict': one.verdict, 'found': one.found}
      for one in judged
    ],
    'failed': dict(outcome.failed),
    'captions': {figure.name: figure.caption for figure in study.figures},
    'set_up': [*study.protocol.states, *study.deviations],
    'runs': [
      {
        'folder': training.folder,
        'title': training.title,
        'epochs': training.config.get('epochs', 0),
        'seconds': seconds_per_epoch(place(root, training)),
        'users': len(training.users),
      }
      for training in plan.trainings.values()
    ],
    'command': command,
    'about': f'jaxrkd {about["jaxrkd"]}, jax {about["jax"]}, {about["device"]}; written '
    f'{time.strftime("%Y-%m-%d")}',
  }


def _cell(entry: Entry) -> dict[str, Any]:
  paper = entry.paper
  return {
    'mean': entry.mean,
    'sd': entry.sd,
    'values': {str(seed): value for seed, value in entry.values.items()},
    'paper': paper.value if paper else None,
    'paper_sd': paper.sd if paper else None,
    'difference': entry.difference,
    'doubtful': bool(paper and paper.doubtful),
    'note': paper.note if paper else '',
    'star': entry.star,
  }


def _csv(found: dict[str, Any]) -> str:
  """One line per cell."""
  text = io.StringIO()
  keys = ('mean', 'sd', 'paper', 'paper_sd', 'difference', 'doubtful', 'note')
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['block', 'row', 'column', 'seeds', *keys])
  for row in found['rows']:
    for title, cell in row['cells'].items():
      shown = ['' if cell[key] is None else cell[key] for key in keys]
      writer.writerow([row['block'], row['name'], title, len(cell['values']), *shown])
  return text.getvalue()


def _others(root: pathlib.Path) -> list[dict[str, Any]]:
  """Every study of the folder."""
  found = []
  for path in sorted(root.glob(f'*/{TABLE}')):
    whole = json.loads(path.read_text(encoding='utf-8'))
    if 'asks' in whole:
      found.append({**whole, 'folder': path.parent.name})
  return found


def draw(figure: Figure, plan: Plan, outcome: Outcome, cells: Entries) -> Any:
  """A figure of what was measured; None where nothing was."""
  if figure.kind == 'curves':
    panels = {name: _curves(figure, name, outcome) for name in figure.columns}
    panels = {name: lines for name, lines in panels.items() if lines}
    return plots.curves(panels) if panels else None
  rows = [r for r in plan.study.rows if not figure.rows or r.key in figure.rows]
  there = [r for r in rows if all(cells[r.key][c].values for c in figure.columns)]
  if not there:
    return None
  if figure.kind == 'bars':
    return plots.bars(
      {
        title: {
          row.name: (_mean(cells[row.key][title]), cells[row.key][title].sd)
          for row in there
        }
        for title in figure.columns
      }
    )
  panels = {}
  for title in figure.columns:
    lines: dict[str, tuple[list[float], list[float], list[float] | None]] = {}
    for row in sorted(there, key=lambda r: r.at or 0.0):
      entry = cells[row.key][title]
      at, values, spread = lines.setdefault(row.line, ([], [], []))
      at.append(row.at or 0.0)
      values.append(_mean(entry))
      if spread is not None:
        spread.append(entry.sd or 0.0)
    panels[title] = {
      name: (at, values, spread if spread and any(spread) else None)
      for name, (at, values, spread) in lines.items()
    }
  return plots.sweep(panels, figure.axis)


def _mean(entry: Entry) -> float:
  return statistics.fmean(entry.values.values())


def _curves(
  figure: Figure, scalar: str, outcome: Outcome
) -> dict[str, tuple[Sequence[float], Sequence[float], Sequence[float] | None]]:
  """A scalar of training by epoch, for each row: mean and deviation over seeds."""
  runs: dict[str, list[dict[int, float]]] = {}
  for one in outcome.measured:
    row = one.wanted.row
    if not figure.rows or row.key in figure.rows:
      by_epoch = by_epochs(one.run, scalar)
      if by_epoch:
        runs.setdefault(row.name, []).append(by_epoch)
  lines: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float] | None]] = {}
  for name, several in runs.items():
    epochs = sorted(set.intersection(*(set(own) for own in several)))
    if figure.last:
      epochs = epochs[-max(round(figure.last * len(epochs)), 1) :]
    values = [statistics.fmean(own[e] for own in several) for e in epochs]
    spread = None
    if len(several) > 1:
      spread = [statistics.stdev(own[e] for own in several) for e in epochs]
    lines[name] = (epochs, values, spread)
  return lines


def by_epochs(run: pathlib.Path, scalar: str) -> dict[int, float]:
  """Epoch -> a scalar's mean over it, as far as metrics.jsonl has whole epochs."""
  path = run / 'metrics.jsonl'
  if not path.is_file():
    return {}
  rows = map(json.loads, path.read_text(encoding='utf-8').splitlines())
  found: dict[int, list[float]] = {}
  for row in rows:
    if scalar in row and 'epoch' in row:
      # A line is the mean of the updates before it.
      found.setdefault(max(-int(-row['epoch'] // 1), 1), []).append(row[scalar])
  return {epoch: statistics.fmean(values) for epoch, values in found.items()}
