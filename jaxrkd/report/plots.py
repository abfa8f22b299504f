"""Figures of a study: sweeps, bars, curves per epoch. Drawn once, written as SVG and PNG."""

import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrkd.evaluate import dynamics
from jaxrkd.report.pictures import plt
from jaxrkd.runtime import files

# Lines: name -> (places on the axis, values, deviations or None).
Lines = Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float] | None]]
FORMATS = ('svg', 'png')
SETTINGS: Any = {
  'svg.hashsalt': 'jaxrkd',
  'svg.fonttype': 'path',
  'font.size': 10,
  'axes.spines.top': False,
  'axes.spines.right': False,
}
# Of lines that may lie on each other.
DASHES = ('-', '--', '-.', ':')


def sweep(panels: Mapping[str, Lines], axis: str) -> plt.Figure:
  """One panel per column: lines over a swept value, with deviations over seeds.

  Args:
    panels: title -> lines.
    axis: what is swept.
  """
  figure, axes = _panels(len(panels))
  for place, (title, lines) in zip(axes, panels.items()):
    for name, (at, values, spread) in lines.items():
      place.errorbar(
        at, values, yerr=spread, marker='o', markersize=4, capsize=3, label=name
      )
    place.set(title=title, xlabel=axis, ylabel='accuracy in %')
    if len(lines) > 1:
      place.legend(frameon=False)
  return figure


def bars(
  groups: Mapping[str, Mapping[str, tuple[float, float | None]]],
) -> plt.Figure:
  """One group of bars per column, one bar per row.

  Args:
    groups: column -> row -> (value, deviation or None).
  """
  figure, (place,) = _panels(1, wide=2.2 + 1.6 * len(groups))
  rows = list(next(iter(groups.values())))
  width = 0.8 / len(rows)
  for number, row in enumerate(rows):
    at = [k + (number - (len(rows) - 1) / 2) * width for k in range(len(groups))]
    values = [found[row][0] for found in groups.values()]
    spread = [found[row][1] or 0.0 for found in groups.values()]
    drawn = place.bar(at, values, width, yerr=spread if any(spread) else None, label=row)
    place.bar_label(drawn, fmt='%.1f', fontsize=8, padding=2)
  place.set_xticks(range(len(groups)), list(groups))
  place.set_ylabel('accuracy in %')
  place.legend(frameon=False, loc='upper left', bbox_to_anchor=(1, 1))
  return figure


def curves(panels: Mapping[str, Lines], axis: str = 'epoch') -> plt.Figure:
  """One panel per scalar, one line per run.

  Args:
    panels: title -> lines.
    axis: what they run over.
  """
  figure, axes = _panels(len(panels))
  for place, (title, lines) in zip(axes, panels.items()):
    for k, (name, (at, values, spread)) in enumerate(lines.items()):
      # A single epoch has no line; equal lines are both seen.
      mark = 'o' if len(at) == 1 else ''
      way = dict(
        marker=mark, markersize=9 - 2 * (k % 4), linestyle=DASHES[k % len(DASHES)]
      )
      place.plot(at, values, label=name, linewidth=1.4, **way)
      if spread is not None:
        low = [v - s for v, s in zip(values, spread)]
        high = [v + s for v, s in zip(values, spread)]
        place.fill_between(at, low, high, alpha=0.2, linewidth=0)
    place.set(title=title, xlabel=axis)
    place.xaxis.get_major_locator().set_params(integer=True)
    if len(lines) > 1:
      place.legend(frameon=False)
  return figure


def images(
  panels: Mapping[str, tuple[str, Mapping[str, np.ndarray]]],
) -> plt.Figure:
  """One panel per quantity: its value of each image, from the easiest to the hardest.

  A single line shows every image, and the moving average over a twentieth of them; several
  show their averages alone.

  Args:
    panels: title -> (unit, name -> values in the order of difficulty).
  """
  figure, axes = _panels(len(panels))
  for place, (title, (unit, lines)) in zip(axes, panels.items()):
    for name, values in lines.items():
      at = np.arange(1, len(values) + 1)
      if len(lines) == 1:
        # As pixels: thousands of points would make a page of megabytes.
        place.plot(
          at, values, '.', markersize=1.5, alpha=0.6, label='each image', rasterized=True
        )
        name = 'moving average'
      place.plot(at, dynamics.smoothed(values), linewidth=1.6, label=name)
    place.set(title=title, xlabel='images, easiest first', ylabel=unit)
    place.legend(frameon=False)
  return figure


def gallery(panels: Mapping[str, Sequence[np.ndarray]], across: int = 8) -> plt.Figure:
  """One block of small images for each of the ends of a class.

  Args:
    panels: title -> uint8 images [H, W, C].
    across: images in a row.
  """
  lines = -(-max(map(len, panels.values())) // across)
  figure, axes = _panels(len(panels), tall=0.4 + 4.4 * lines / across)
  for place, (title, shown) in zip(axes, panels.items()):
    height, width, channels = shown[0].shape
    rows = -(-len(shown) // across)
    edge = 1 + max(height, width) // 16
    sheet = np.full(
      (rows * (height + edge), across * (width + edge), channels), 255, np.uint8
    )
    for number, image in enumerate(shown):
      top, left = number // across * (height + edge), number % across * (width + edge)
      sheet[top : top + height, left : left + width] = image
    place.imshow(sheet.squeeze(), cmap='gray', vmin=0, vmax=255, interpolation='nearest')
    place.set(title=title)
    place.axis('off')
  return figure


def _panels(count: int, wide: float = 4.6, tall: float = 3.6) -> tuple[plt.Figure, Any]:
  with plt.rc_context(SETTINGS):
    figure, axes = plt.subplots(
      1, count, figsize=(wide * count, tall), squeeze=False, layout='constrained'
    )
  return figure, axes[0]


def write(figure: plt.Figure, folder: pathlib.Path, name: str) -> str:
  """Writes `name.svg` and `name.png`, closes the figure, and returns the SVG."""
  with plt.rc_context(SETTINGS):
    for kind in FORMATS:
      with files.replacing(folder / f'{name}.{kind}') as temporary:
        # Without a date, the same numbers give the same file.
        fixed = {'Date': None} if kind == 'svg' else None
        figure.savefig(temporary, format=kind, dpi=150, metadata=fixed)
    text = io.StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None})
  plt.close(figure)
  return text.getvalue()[text.getvalue().index('<svg') :]
