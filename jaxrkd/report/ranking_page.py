"""Teachers ranked as teachers: a table in plain text and a page with a picture."""

import textwrap
from collections.abc import Mapping
from typing import Any

from jaxrkd.evaluate import results
from jaxrkd.report import charts
from jaxrkd.report.markup import table, text, whole

HEAD = (
  'teacher',
  'clean, %',
  'attacked, %',
  'entropy, hard',
  'other',
  'test',
  'calibration error',
  'transfer, %',
)

# Letters of a printed line.
WIDTH = 100


def plain(found: Mapping[str, Any]) -> str:
  """The table without intervals and what to take, from what `ranking.json` holds."""
  rows = found['teachers']
  head = ('', 'clean', 'attacked', 'hard', 'other', 'test', 'calibration', 'transfer')
  lines: list[tuple[str, ...]] = [head]
  for name, row in rows.items():
    cells = (cell.split(' ')[0] for cell in _cells(row))
    lines.append((name, *(cell if cell != 'no' else '-' for cell in cells)))
  wide = [max(len(line[k]) for line in lines) for k in range(len(head))]
  told = [
    f'{line[0]:<{wide[0]}}  ' + '  '.join(f'{c:>{w}}' for c, w in zip(line[1:], wide[1:]))
    for line in lines
  ]
  what = f'take {found["take"]}' if found['take'] else 'take none'
  first = next(iter(rows.values()))
  return '\n'.join(
    [
      f'{found["data"]}, {first["clean"]["images"]} test images, '
      f'{first["robust"]["images"]} of them attacked by PGD-20 within {found["ball"]};',
      'accuracies and transfer in %; mean entropy in nats on hard and other training images',
      'and on test images',
      *told,
      '',
      textwrap.fill(f'{what}: {found["why"]}', WIDTH),
      *(f'not {n}: {row["excluded"]}' for n, row in rows.items() if row['excluded']),
      *(f'note: {note}' for note in results.of_networks(list(rows.items()))),
    ]
  )


def page(found: Mapping[str, Any]) -> tuple[str, str]:
  """(a self-contained HTML file, its picture as SVG) from what `ranking.json` holds."""
  rows = found['teachers']
  first = next(iter(rows.values()))
  what = f'Take {found["take"]}' if found['take'] else 'Take none of these teachers'
  count = first['hard']['images']
  seen = count + first['easy']['images']
  peers = ', '.join(
    f'{name} ({100 * told["value"]:.1f} %)' for name, told in found['students'].items()
  )
  some = any(not row['excluded'] for row in rows.values())
  picture = _picture(rows) if count and some else ''
  cells = [
    [
      '–' if row['excluded'] else str(number),
      text(name),
      *(_narrow(cell) for cell in _cells(row)),
    ]
    for number, (name, row) in enumerate(rows.items(), 1)
  ]
  parts = [
    '<h1>Teachers, ranked as teachers</h1>',
    f'<p class="lead">{text(what)}: {text(found["why"])}.</p>',
    f'<p>Measured on {text(found["data"])}, within {text(found["ball"])}: '
    f'{first["clean"]["images"]} test images, of which {first["robust"]["images"]} were '
    f'attacked (PGD-20). Robust accuracy is an upper bound. Entropies are in nats.</p>',
    f'<p>Hard images are the {count} of {seen} training images that no student withstands. '
    f'The students, trained without a teacher, and their accuracy under attack: '
    f'{text(peers)}. A teacher that is sure about hard images makes a student learn noise '
    '(<a href="https://arxiv.org/abs/2605.21999">Lee and Chung, ICML 2026</a>), so that a '
    'higher entropy there is better. Transfer is how often an image that fools a student '
    'fools the teacher.</p>',
    table(['#', *HEAD], cells, (1,)),
    *(f'<p class="note">{text(n)}</p>' for n in results.of_networks(list(rows.items()))),
  ]
  left_out = {name: row['excluded'] for name, row in rows.items() if row['excluded']}
  if left_out:
    items = ''.join(f'<li>{text(f"{n}: {why}")}</li>' for n, why in left_out.items())
    parts.append(f'<h2>Not to be taken</h2><ul>{items}</ul>')
  if picture:
    parts.append(
      f'<div class="charts"><figure class="wide">{picture}<figcaption>Numbers are those of '
      'the table; bars are 95 % intervals. A teacher further to the right is less sure '
      'where students fail, one further up is more robust. Teachers that are not to be taken '
      'are left out.</figcaption></figure></div>'
    )
  return whole('Teachers, ranked', ''.join(parts)), picture


def _picture(rows: Mapping[str, Mapping[str, Any]]) -> str:
  points = {}
  for number, row in enumerate(rows.values(), 1):
    if row['excluded']:
      continue
    hard, robust = row['hard'], row['robust']
    points[str(number)] = charts.Point(
      hard['value'],
      100 * robust['value'],
      (hard['low'], hard['high']),
      (100 * robust['low'], 100 * robust['high']),
    )
  title = 'Robust accuracy against entropy where students fail'
  return charts.scatter(title, points, 'entropy on hard images, nats', 'under attack, %')


def _cells(row: Mapping[str, Any]) -> list[str]:
  return [
    _number(row['clean'], 100, 1),
    _number(row['robust'], 100, 1),
    _number(row['hard'], 1, 3),
    _number(row['easy'], 1, 3),
    _number(row['entropy'], 1, 3),
    f'{row["calibration"]:.3f} ({row["lean"]}confident)',
    _number(row['transfer'], 100, 0),
  ]


def _narrow(cell: str) -> str:
  """A cell with its interval in a line of its own."""
  value, bracket, more = cell.partition(' (')
  return text(value) + (f'<br><small>{text(more[:-1])}</small>' if bracket else '')


def _number(told: Mapping[str, Any], factor: float, digits: int) -> str:
  if told['value'] is None:
    return 'no image'
  low, high = (f'{factor * told[key]:.{digits}f}' for key in ('low', 'high'))
  return f'{factor * told["value"]:.{digits}f} ({low} to {high})'
