"""The part of a run's page about the nearest adversarial images."""

from collections.abc import Mapping
from typing import Any

from jaxrkd.report import charts
from jaxrkd.report.markup import table, text


def section(found: Mapping[str, Mapping[str, Any]] | None) -> list[str]:
  """Curve and table; nothing where nothing was measured.

  Args:
    found: network -> what `Distances.as_dict` holds.
  """
  if not found:
    return []
  first = next(iter(found.values()))
  series = {}
  for name, told in found.items():
    eps, accuracy = zip(*told['curve'])
    series[name] = charts.Line(eps, [100 * a for a in accuracy])
  drawn = charts.lines(
    'Accuracy in a ball of each radius',
    series,
    f'eps ({first["norm"]})',
    'accuracy in %',
    bottom=0.0,
  )
  lines, notes = [], []
  for name, told in found.items():
    lines.append([f'<b>{text(name)}</b>', _far(told['median']), '', ''])
    for attack, seen in told['attacks'].items():
      share = f'{seen["found"]} of {seen["tried"]}'
      cells = (_far(seen['median']), share, str(seen['nearest']))
      lines.append([f'under {text(attack)}', *cells])
      notes += _notes(f'{name}, {attack}', seen)
  head = ['network', 'median distance', 'found', 'nearest of all']
  return [
    '<h2>Distance to the nearest adversarial image</h2>',
    f'<p>These attacks look for the adversarial image that is nearest in {first["norm"]}, '
    f'whatever its distance, on the first {first["images"]:,} images. Each distance is an '
    'upper bound. An image that is wrong without an attack has distance 0. An attack of the '
    'table above that broke an image bounds its distance by the radius of the ball.</p>',
    f'<div class="charts"><figure>{drawn}</figure></div>',
    table(head, lines),
    *(f'<p class="note">{text(note)}</p>' for note in notes),
  ]


def _far(value: float | None) -> str:
  return 'none' if value is None else f'{value:.4g}'


def _notes(name: str, seen: Mapping[str, Any]) -> list[str]:
  found = []
  if seen['not_finite']:
    found.append(
      f'{name}: gradients, logits or pixels were not finite on {seen["not_finite"]} images, so '
      'that distances may be too large.'
    )
  if seen.get('outside'):
    found.append(
      f'{name}: the search left [0, 1] on {seen["outside"]} images, where it counts as failed, so '
      'that distances may be too large.'
    )
  if seen['unconfirmed']:
    found.append(
      f'{name}: {seen["unconfirmed"]} images lie so near the boundary that a second look took '
      'them for right; they count as adversarial.'
    )
  return found
