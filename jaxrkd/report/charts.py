"""Charts inside pages: SVG in the colours of the page, light and dark, with its letters."""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxrkd.report.pictures import plt

# Placeholders that no chart uses otherwise -> colours of the page's style.
INK, SOFT, LINE = '#010203', '#010204', '#010205'
SERIES = tuple(f'#01021{k}' for k in range(8))
COLOURS = {
  INK: 'var(--ink)',
  SOFT: 'var(--soft)',
  LINE: 'var(--line)',
  **{colour: f'var(--c{k})' for k, colour in enumerate(SERIES)},
}
SETTINGS: Any = {
  'svg.hashsalt': 'jaxrkd',
  'svg.fonttype': 'none',
  'font.size': 9,
  'axes.titlesize': 10,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.edgecolor': SOFT,
  'axes.labelcolor': SOFT,
  'text.color': INK,
  'xtick.color': SOFT,
  'ytick.color': SOFT,
  'axes.grid': True,
  'grid.color': LINE,
  'grid.linewidth': 0.6,
  'axes.axisbelow': True,
  'legend.frameon': False,
}
SIZE = (4.2, 2.7)
# More points than a chart has pixels make pages large.
MOST = 300


class Line(NamedTuple):
  """One line of a chart.

  Attributes:
    at: places on the axis.
    values: at them.
    low: lower ends of intervals; None draws none.
    high: upper ends.
    dots: whether every value is marked.
  """

  at: Sequence[float]
  values: Sequence[float]
  low: Sequence[float] | None = None
  high: Sequence[float] | None = None
  dots: bool = False


class Mark(NamedTuple):
  """A vertical line with a name."""

  at: float
  name: str


def lines(
  title: str,
  series: Mapping[str, Line],
  axis: str,
  unit: str = '',
  marks: Sequence[Mark] = (),
  log: bool = False,
  bottom: float | None = None,
) -> str:
  """Lines over an axis, as SVG.

  Args:
    title: of the chart.
    series: name -> line.
    axis: what they run over.
    unit: of the values.
    marks: places that matter.
    log: a logarithmic axis of values, where all of them are positive.
    bottom: where the axis of values begins.
  """
  with plt.rc_context(SETTINGS):
    figure, place = plt.subplots(figsize=SIZE, layout='constrained')
    for (name, line), colour in zip(series.items(), _colours(len(series))):
      at, values = _thinned(line.at), _thinned(line.values)
      dotted = line.dots or len(at) == 1
      place.plot(
        at,
        values,
        color=colour,
        label=name,
        linewidth=1.5,
        marker='o' if dotted else '',
        markersize=3.5,
      )
      if line.low is not None and line.high is not None:
        low, high = _thinned(line.low), _thinned(line.high)
        place.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
    for mark in marks:
      place.axvline(mark.at, color=SOFT, linewidth=1, linestyle='--')
      # Beside the line, on the side that has room.
      left, right = place.get_xlim()
      late = mark.at > (left + right) / 2
      place.annotate(
        mark.name,
        (mark.at, 1),
        (-3 if late else 3, -2),
        xycoords=('data', 'axes fraction'),
        textcoords='offset points',
        ha='right' if late else 'left',
        va='top',
        fontsize=8,
        color=SOFT,
      )
    if log and all(v > 0 for line in series.values() for v in line.values):
      place.set_yscale('log')
    if bottom is not None:
      place.set_ylim(bottom=bottom)
    place.set_title(title, loc='left')
    place.set(xlabel=axis, ylabel=unit)
    if len(series) > 1:
      place.legend(fontsize=8)
    return svg(figure, title)


class Point(NamedTuple):
  """A point of a scatter with its 95 % intervals: [low, high] on both axes."""

  x: float
  y: float
  x_range: Sequence[float]
  y_range: Sequence[float]


def scatter(title: str, points: Mapping[str, Point], x: str, y: str) -> str:
  """Named points with intervals, as SVG.

  Args:
    title: of the chart.
    points: name -> point.
    x: what the axis says.
    y: what the other axis says.
  """
  with plt.rc_context(SETTINGS):
    figure, place = plt.subplots(figsize=(6.4, 4.2), layout='constrained')
    for number, (point, colour) in enumerate(
      zip(points.values(), _colours(len(points))), 1
    ):
      place.errorbar(
        [point.x],
        [point.y],
        xerr=[[point.x - point.x_range[0]], [point.x_range[1] - point.x]],
        yerr=[[point.y - point.y_range[0]], [point.y_range[1] - point.y]],
        fmt='o',
        color=colour,
        elinewidth=1,
        markersize=5,
        alpha=0.9,
      )
      place.annotate(
        str(number), (point.x, point.y), (4, 4), textcoords='offset points', fontsize=8
      )
    place.set_title(title, loc='left')
    place.set(xlabel=x, ylabel=y)
    return svg(figure, title)


def _colours(count: int) -> list[str]:
  return [SERIES[k % len(SERIES)] for k in range(count)]


def _thinned(values: Sequence[float]) -> Sequence[float]:
  """So many values as a chart can show, the last one among them."""
  if len(values) <= MOST:
    return values
  every = -(-len(values) // MOST)
  return list(values[::-1][::every])[::-1]


def _own_ids(found: str) -> str:
  """Keeps the ids that are used, under names that no other chart of a page has."""
  used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]*)', found))
  mark = hashlib.sha256(found.encode()).hexdigest()[:6]
  names = {old: f'c{mark}-{number}' for number, old in enumerate(used)}

  def renamed(match: re.Match) -> str:
    return f' id="{names[match[1]]}"' if match[1] in names else ''

  found = re.sub(r' id="([^"]*)"', renamed, found)
  return re.sub(
    r'(href="|url\()#([^")]*)', lambda match: f'{match[1]}#{names[match[2]]}', found
  )


def svg(figure: plt.Figure, title: str) -> str:
  """A figure of these colours as part of a page; closes it.

  Args:
    figure: drawn with `SETTINGS`.
    title: what the picture is called for who cannot see it.
  """
  buffer = io.StringIO()
  figure.savefig(buffer, format='svg', transparent=True, metadata={'Date': None})
  plt.close(figure)
  found = buffer.getvalue()
  found = found[found.index('<svg') :]
  found = re.sub(
    r'<metadata>.*?</metadata>|<style.*?</style>', '', found, flags=re.DOTALL
  )
  found = _own_ids(found)
  found = re.sub(r' font-family: [^;\"]*;', '', found)
  found = re.sub(r'\n\s*', '\n', found)
  for placeholder, colour in COLOURS.items():
    found = found.replace(placeholder, colour)
  label = title.replace('&', 'and').replace('"', "'").replace('<', ' ')
  return found.replace('<svg ', f'<svg class="chart" role="img" aria-label="{label}" ', 1)
