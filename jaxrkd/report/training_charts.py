"""Charts of a training, out of the rows of metrics.jsonl."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxrkd.report import charts
from jaxrkd.report.charts import Line, Mark

Rows = Sequence[Mapping[str, Any]]
SPLITS = {'heldout': 'held-out images', 'test': 'test images', 'train': 'training images'}
# How far losses must be apart, as a ratio, for a logarithmic axis.
WIDE = 30.0


def section(rows: Rows, best_step: int | None) -> list[str]:
  """The part of a page about training; empty where nothing was logged.

  Args:
    rows: of metrics.jsonl, oldest first.
    best_step: of the best checkpoint, which is marked.
  """
  logged = [row for row in rows if 'loss' in row and row.get('epoch')]
  if not logged:
    return []
  per_epoch = logged[-1]['step'] / logged[-1]['epoch']
  marks = [] if best_step is None else [Mark(best_step / per_epoch, 'best')]
  looks = [
    {**row, 'epoch': row['step'] / per_epoch}
    for row in rows
    if any(key.endswith('_clean') for key in row)
  ]
  drawn = [
    _scores(looks, marks),
    _chart(logged, 'Loss', _is_loss, 'loss', marks, log=True),
    _chart(logged, "The method's weights", _starts('weight_'), 'weight', bottom=0.0),
    _chart(logged, 'Losses relative to their start', _starts('relative_'), ''),
    _chart(logged, 'Learning rate', lambda key: key == 'learning_rate', 'learning rate'),
    _chart(logged, 'Gradient norm', lambda key: key == 'grad_norm', 'norm', log=True),
  ]
  figures = ''.join(f'<figure>{svg}</figure>' for svg in drawn if svg)
  return [f'<h2>Training</h2><div class="charts">{figures}</div>']


def _is_loss(key: str) -> bool:
  return key == 'loss' or key.startswith('loss_')


def _starts(beginning: str) -> Callable[[str], bool]:
  return lambda key: key.startswith(beginning)


def _scores(looks: Rows, marks: Sequence[Mark]) -> str:
  """Accuracies at the looks after epochs."""
  split = next(
    (name for name in SPLITS if any(f'{name}_clean' in look for look in looks)), ''
  )
  series = {}
  for name in ('clean', 'robust'):
    found = [look for look in looks if look.get(f'{split}_{name}') is not None]
    if found:
      series[name] = Line(
        [look['epoch'] for look in found],
        [100 * look[f'{split}_{name}'] for look in found],
        dots=len(found) < 30,
      )
  # A single look is a number of the table, and no curve.
  if max((len(line.at) for line in series.values()), default=0) < 2:
    return ''
  title = f'Accuracy on {SPLITS[split]}'
  return charts.lines(title, series, 'epoch', 'accuracy in %', marks)


def _chart(
  rows: Rows,
  title: str,
  wanted: Callable[[str], bool],
  unit: str,
  marks: Sequence[Mark] = (),
  log: bool = False,
  bottom: float | None = None,
) -> str:
  keys = [key for key in rows[0] if wanted(key)]
  # What is not finite is null.
  series: dict[str, Line] = {}
  for key in keys:
    found = [(row['epoch'], row[key]) for row in rows if row.get(key) is not None]
    if found:
      at, values = zip(*found)
      series[_named(key)] = Line(at, values)
  every = [value for line in series.values() for value in line.values]
  if not every or not all(map(math.isfinite, every)):
    return ''
  apart = min(every) > 0 and max(every) > WIDE * min(every)
  return charts.lines(title, series, 'epoch', unit, marks, log and apart, bottom)


def _named(key: str) -> str:
  for beginning in ('loss_', 'weight_', 'relative_'):
    if key.startswith(beginning):
      return key.removeprefix(beginning)
  return key
