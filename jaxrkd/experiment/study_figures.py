"""The figures of a study, out of what was measured and recorded."""

import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.evaluate import dynamics
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.logged import logged_rows
from jaxrkd.experiment.study import Figure, Study
from jaxrkd.experiment.study_recordings import Recordings
from jaxrkd.experiment.study_run import Outcome
from jaxrkd.experiment.study_table import Entries, Entry
from jaxrkd.report import plots


def draw(
  figure: Figure, study: Study, outcome: Outcome, cells: Entries, data_dir: str = ''
) -> Any:
  """A figure of what was measured; None where nothing was.

  Args:
    figure: of the study.
    study: the study.
    outcome: what became of it.
    cells: its table.
    data_dir: where TFDS data lie, for a gallery.
  """
  rows = [r for r in study.rows if not figure.rows or r.key in figure.rows]
  recordings = Recordings(study, outcome)
  if figure.kind == 'curves':
    return _curves(figure, [row.key for row in rows], study, recordings)
  if figure.kind == 'images':
    return _images(figure, [row.key for row in rows], study, recordings)
  if figure.kind == 'gallery':
    return _gallery(figure, study, recordings, data_dir)
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


def _curves(figure: Figure, keys: list[str], study: Study, recordings: Recordings) -> Any:
  """Scalars of training and means of recordings by epoch, for each row."""
  panels = {}
  for scalar in figure.columns:
    several = {
      key: [by_epochs(recordings.run(key, s), scalar) for s in recordings.seeds(key)]
      for key in keys
    }
    panels[scalar] = _lines(several, study, figure.last)
  for chosen in figure.recorded:
    several = {
      key: [recordings.by_epoch(key, s, chosen) for s in recordings.seeds(key)]
      for key in keys
    }
    title = (
      f'{chosen.what} ({dynamics.UNITS[chosen.what]}), {chosen.split}, {chosen.images}'
    )
    panels[title] = _lines(several, study, figure.last)
  panels = {title: lines for title, lines in panels.items() if lines}
  return plots.curves(panels) if panels else None


def _lines(
  several: Mapping[str, list[dict[int, float]]], study: Study, last: float
) -> plots.Lines:
  """Row's name -> epochs, means over the seeds, deviations (None for one seed)."""
  lines = {}
  for key, runs in several.items():
    runs = [own for own in runs if own]
    if not runs:
      continue
    epochs = sorted(set.intersection(*map(set, runs)))
    if last:
      epochs = epochs[-max(round(last * len(epochs)), 1) :]
    values = [statistics.fmean(own[e] for own in runs) for e in epochs]
    spread = None
    if len(runs) > 1:
      spread = [statistics.stdev(own[e] for own in runs) for e in epochs]
    lines[study.row(key).name] = (epochs, values, spread)
  return lines


def _images(figure: Figure, keys: list[str], study: Study, recordings: Recordings) -> Any:
  """Quantities of single images, from the easiest to the hardest."""
  panels = {}
  for chosen in figure.recorded:
    found = recordings.ordered(keys, chosen)
    if found:
      title = f'{chosen.what}, {chosen.images} images'
      named = {study.row(key).name: values for key, values in found.items()}
      panels[title] = (dynamics.UNITS[chosen.what], named)
  return plots.images(panels) if panels else None


def _gallery(figure: Figure, study: Study, recordings: Recordings, data_dir: str) -> Any:
  """The easiest and hardest images of a class, by the first seed."""
  (chosen,) = figure.recorded
  seeds = recordings.seeds(study.difficulty)
  if not seeds:
    return None
  recorded = recordings.of(study.difficulty, seeds[0], chosen.split)
  assert recorded is not None
  config = read_config(recordings.run(study.difficulty, seeds[0]))
  split = getattr(experiment.dataset(config, data_dir), chosen.split)
  if not np.array_equal(split.index, recorded.place):
    raise InputError(
      f'the images of {study.difficulty!r} are not those that were recorded, because the '
      'data have changed; restore the data, or use another --workdir'
    )
  hard = dynamics.measure('difficulty', 'clean', recorded)
  ends = dynamics.extremes(hard, recorded.label)
  if figure.label not in ends:
    return None
  panels = ('easiest', 'hardest')
  return plots.gallery(
    {
      name: [np.asarray(split.image[place]) for place in places]
      for name, places in zip(panels, ends[figure.label])
    }
  )


def by_epochs(run: pathlib.Path, scalar: str) -> dict[int, float]:
  """Epoch -> a scalar's mean over it, as far as metrics.jsonl has whole epochs."""
  found: dict[int, list[float]] = {}
  for row in logged_rows(run):
    # What was not finite is null.
    if row.get(scalar) is not None and 'epoch' in row:
      # A line is the mean of the updates before it.
      found.setdefault(max(-int(-row['epoch'] // 1), 1), []).append(row[scalar])
  return {epoch: statistics.fmean(values) for epoch, values in found.items()}
