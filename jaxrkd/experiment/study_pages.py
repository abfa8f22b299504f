"""What a study leaves: table.json, .csv and .md, figures, its page, and an index over all."""

import csv
import io
import json
import pathlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrkd.attacks.threat import radius
from jaxrkd.evaluate import results
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment.study_figures import draw
from jaxrkd.experiment.study_plan import Plan
from jaxrkd.experiment.study_run import Outcome, place
from jaxrkd.experiment.study_table import (
  DIGITS,
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
# Attacks as a reader of a page knows them; steps that a study gives stand behind.
MEANINGS = {
  'fgsm': 'FGSM, one step',
  'pgd': 'PGD',
  'pgd_sat': 'PGD, 20 steps of 2/255',
  'pgd_trades': 'PGD, 20 steps of 0.003',
  'cw_inf': 'PGD on the margin loss of Carlini and Wagner, 30 steps unless told',
  'autoattack': 'AutoAttack, standard',
  'square': 'the Square attack',
}


def write(
  name: str,
  scale: str,
  plan: Plan,
  outcome: Outcome,
  root: str | pathlib.Path,
  command: str,
  data_dir: str = '',
  only: Sequence[str] = (),
) -> dict[str, Any]:
  """Writes everything into a folder below `root`; returns what table.json holds.

  Args:
    name: of the study.
    scale: of it.
    plan: what was wanted.
    outcome: what became of it.
    root: folder of all studies.
    command: that does all this again.
    data_dir: where TFDS data lie, for figures that show images.
    only: the texts that chose the rows; empty for all.
  """
  root = absolute(root)
  folder = root / folder_name(name, scale, plan, only)
  found = leave(plan, outcome, folder, command, data_dir, root, scale)
  if sharding.is_first_process():
    files.write_text(root / 'index.html', study_page.index(_others(root)))
  return found


def folder_name(name: str, scale: str, plan: Plan, only: Sequence[str] = ()) -> str:
  """'mtard_table2-small', and what else tells this page from others of the study."""
  parts = [pathlib.Path(name).stem, scale]
  if name.endswith('.py'):
    # Files of one's own may share a name.
    parts[0] += f'-{fingerprint(str(absolute(name)))[:4]}'
  parts += [re.sub(r'[^\w.+]+', '_', text).strip('_') for text in only]
  seeds = sorted({one.seed for one in plan.wanted})
  if tuple(seeds) != tuple(plan.study.protocol.seeds[: plan.scale.seeds or None]):
    parts.append(f'seeds_{"_".join(map(str, seeds))}')
  if plan.overrides:
    parts.append(fingerprint(list(plan.overrides))[:4])
  return '-'.join(parts)


def leave(
  plan: Plan,
  outcome: Outcome,
  folder: pathlib.Path,
  command: str,
  data_dir: str = '',
  root: pathlib.Path | None = None,
  scale: str = '',
) -> dict[str, Any]:
  """Writes table, figures and page into a folder; returns what table.json holds.

  Args:
    plan: what was wanted.
    outcome: what became of it.
    folder: for all of it.
    command: that does all this again.
    data_dir: where TFDS data lie, for figures that show images.
    root: of the plan's trainings.
    scale: of the study; empty where nothing was trained for it.
  """
  cells = entries(plan.study, outcome)
  found = record(scale, plan, outcome, cells, root or folder, command)
  if sharding.is_first_process():
    files.write_json(folder / TABLE, found)
    files.write_text(folder / 'table.md', study_page.markdown(found) + '\n')
    files.write_text(folder / 'table.csv', _csv(found))
    drawn, kept = {}, set()
    for figure in plan.study.figures:
      made = draw(figure, plan.study, outcome, cells, data_dir)
      if made is not None:
        drawn[figure.name] = plots.write(made, folder, figure.stem)
        kept |= {f'{figure.stem}.{kind}' for kind in plots.FORMATS}
    # Of a time when more rows were there.
    for old in (path for kind in plots.FORMATS for path in folder.glob(f'*.{kind}')):
      if old.name not in kept:
        old.unlink()
    files.write_text(folder / 'index.html', study_page.page(found, drawn))
  say(f'\n{study_page.markdown(found)}\n')
  # At the scale of tests nothing is judged.
  for claim in found['claims'] if found['scale'] != 'smoke' else ():
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
  judged = judge(study, cells, plan.scale.judges)
  about = results.versions()
  return {
    'paper': study.paper,
    'item': study.item,
    'asks': study.asks,
    'scale': scale,
    'scale_says': plan.scale.says if scale else '',
    'seeds': sorted({one.seed for one in plan.wanted}),
    'columns': [column.title for column in study.columns],
    'units': {column.title: column.unit for column in study.columns},
    'rows': [
      {
        'block': row.block,
        'name': row.name,
        'at': row.at,
        'line': row.line,
        'cells': {
          column.title: _cell(cells[row.key][column.title], column.unit)
          for column in study.columns
        },
      }
      for row in study.rows
    ],
    'claims': [
      {'text': one.claim.text, 'verdict': one.verdict, 'found': one.found}
      for one in judged
    ],
    'failed': dict(outcome.failed),
    'what': describe(plan),
    'overrides': list(plan.overrides),
    'images': sorted(
      {r['images'] for one in outcome.measured if 'images' in (r := one.row)}
    ),
    'notes': _notes(outcome),
    'captions': {figure.name: figure.caption for figure in study.figures},
    'set_up': [*study.protocol.states, *study.deviations],
    'runs': [
      {
        'folder': training.folder,
        'title': training.title,
        'epochs': training.config.get('epochs', 0) * training.config.get('members', 1),
        'seconds': seconds_per_epoch(place(root, training)),
        'users': list(training.users),
      }
      for training in plan.trainings.values()
    ],
    'command': command,
    'about': f'jaxrkd {about["jaxrkd"]}, jax {about["jax"]}, {about["device"]}; written '
    f'{time.strftime("%Y-%m-%d")}',
  }


def describe(plan: Plan) -> list[str]:
  """Data, networks, ball and columns, a sentence each, for those who only see the page."""
  told = []
  configs = [training.config for training in plan.trainings.values()]
  trained = [config for config in configs if config.get('student')]
  data = sorted({_data(config.data) for config in configs})
  if data:
    told.append(f'Data: {", ".join(data)}')
  taught = {mark for t in plan.trainings.values() for mark in t.teachers.values()}
  marks = {one.mark for one in plan.wanted}
  for what, those in (('Networks of the rows', marks), ('Networks of teachers', taught)):
    found = {
      _network(t.config.student)
      for mark, t in plan.trainings.items()
      if mark in those and t.config.get('student')
    }
    if found:
      told.append(f'{what}: {", ".join(sorted(found))}')
  balls = sorted({_ball(config['evaluation']['threat']) for config in trained})
  if balls and plan.study.protocol.attacks:
    told.append(f'Attacked in {", ".join(balls)}')
  for column in plan.study.columns:
    node = plan.study.protocol.attacks.get(column.attack)
    if node is not None and not str(column.value).startswith('weighted:'):
      options = ', '.join(f'{k} {v}' for k, v in node.items() if k != 'name')
      name = node.get('name', column.attack)
      name = MEANINGS.get(name, name)
      told.append(f'{column.title}: {name}{f" ({options})" if options else ""}')
  if any(str(column.value).startswith('weighted:') for column in plan.study.columns):
    told.append('W: the mean of clean accuracy and accuracy under the attack')
  return told


def _data(node: Mapping[str, Any]) -> str:
  limits = [
    f'{node[key]:,} {what}'
    for key, what in (('train_limit', 'training'), ('test_limit', 'test'))
    if node.get(key)
  ]
  # Small sources have fewer.
  told = f' (at most {" and ".join(limits)} images)' if limits else ''
  chosen = node.get('classes')
  if chosen and not isinstance(chosen, int):
    told += f' of {", ".join(map(str, chosen))}'
  return f'{node["name"]}{told}'


def _network(node: Mapping[str, Any]) -> str:
  widths = node.get('widths')
  return f'{node["name"]} {"-".join(map(str, widths))}' if widths else node['name']


def _ball(threat: Mapping[str, Any]) -> str:
  return f'{threat["name"]}, eps {radius(threat["eps"])}'


def _notes(outcome: Outcome) -> dict[str, list[str]]:
  """What the results say that a reader should know -> the rows of which."""
  found: dict[str, list[str]] = {}
  # Rows of stored recordings are not measured in any.
  threats = [one.wanted.evaluation.get('threat') for one in outcome.measured]
  balls = [_ball(threat) if threat else '' for threat in threats]
  several = len({*balls} - {''}) > 1
  for one, ball in zip(outcome.measured, balls):
    apart = f'attacked in {ball}, other rows in another ball: do not compare them'
    for note in (*one.notes, *([apart] if ball and several else [])):
      rows = found.setdefault(note, [])
      if one.wanted.row.key not in rows:
        rows.append(one.wanted.row.key)
  return found


def _cell(entry: Entry, unit: str) -> dict[str, Any]:
  paper = entry.paper
  return {
    'digits': DIGITS.get(unit, 2),
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
