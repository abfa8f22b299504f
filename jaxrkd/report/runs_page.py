"""The page over a folder of runs: tables that sort, clean against robust accuracy."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxrkd.report import charts
from jaxrkd.report.markup import text, whole

STYLE = """
th[data-sort] { cursor:pointer } th[data-sort]::after { content:' ↕'; color:var(--soft) }
th[data-sort=up]::after { content:' ↑' } th[data-sort=down]::after { content:' ↓' }
figure.wide svg { max-width:46em } .charts { margin-bottom:1em }
"""
# A click on the head of a column sorts its table; a second one the other way round.
SCRIPT = """
for (const head of document.querySelectorAll('th[data-sort]')) head.onclick = () => {
  const table = head.closest('table'), place = head.cellIndex;
  const down = head.dataset.sort !== 'down';
  for (const other of table.querySelectorAll('th[data-sort]')) other.dataset.sort = '';
  head.dataset.sort = down ? 'down' : 'up';
  const key = row => row.cells[place].dataset.key ?? row.cells[place].textContent;
  const compare = (a, b) => isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b;
  [...table.rows].slice(1).sort((a, b) => (down ? -1 : 1) * compare(key(a), key(b)))
    .forEach(row => table.tBodies[0].append(row));
};
"""
CHECKS = {'pass': 'good', 'warn': 'open', 'fail': 'bad'}


class Entry(NamedTuple):
  """One network of a run.

  Attributes:
    name: of the run.
    address: of its page, from where this one lies.
    method: what trained it.
    network: what it is.
    clean: accuracy, with its interval.
    worst: worst case over all attacks, with its interval.
    checks: status of its trust checks; 'none' if none were made.
    note: what a reader must know of its numbers, such as how it was selected.
  """

  name: str
  address: str
  method: str
  network: str
  clean: tuple[float, Sequence[float]]
  worst: tuple[float, Sequence[float]]
  checks: str
  note: str


def page(
  title: str, groups: Mapping[tuple[str, str], Sequence[Entry]], left: Sequence[str]
) -> str:
  """One self-contained HTML file.

  Args:
    title: of the page.
    groups: how runs were measured (images and ball, attacks) -> those that were measured
      in this way. Numbers of different groups say nothing about each other.
    left: runs that are not shown, and why.
  """
  count = sum(map(len, groups.values()))
  parts = [
    f'<h1>{text(title)}</h1><p class="lead">{count} runs. Only runs that were measured in the '
    'same way stand in one table.</p>',
    '<p>Accuracies are those of the best checkpoint in percent, with 95 % intervals. The worst '
    'case counts an image as robust if it withstands every attack in the ball. W is the mean '
    'of both. A click on the head of a column sorts by it.</p>',
  ]
  for (images, attacks), entries in groups.items():
    order = sorted(entries, key=lambda entry: -entry.worst[0])
    parts += [
      f'<h2>{text(images)}</h2><p class="soft">{text(attacks)}</p>',
      _scatter(order),
      _table(order),
    ]
  if left:
    items = ''.join(f'<li>{text(line)}</li>' for line in left)
    parts.append(f'<h2>Not shown</h2><ul>{items}</ul>')
  return whole(title, ''.join(parts), STYLE, SCRIPT)


def _scatter(entries: Sequence[Entry]) -> str:
  if len(entries) < 2:
    return ''
  percent = lambda values: [100 * value for value in values]
  points = {
    str(number): charts.Point(
      100 * entry.clean[0],
      100 * entry.worst[0],
      percent(entry.clean[1]),
      percent(entry.worst[1]),
    )
    for number, entry in enumerate(entries, 1)
  }
  drawn = charts.scatter(
    'Clean against robust accuracy', points, 'clean, %', 'worst case, %'
  )
  return (
    f'<div class="charts"><figure class="wide">{drawn}<figcaption>Numbers are those of the '
    'table; bars are 95 % intervals.</figcaption></figure></div>'
  )


def _table(entries: Sequence[Entry]) -> str:
  head = ''.join(
    f'<th data-sort="{"down" if name == "worst case" else ""}"{kind}>{name}</th>'
    for name, kind in (
      ('#', ''),
      ('run', ' class="text"'),
      ('method', ' class="text"'),
      ('network', ' class="text"'),
      ('clean', ''),
      ('worst case', ''),
      ('W', ''),
      ('checks', ' class="text"'),
      ('note', ' class="text"'),
    )
  )
  lines = []
  for number, entry in enumerate(entries, 1):
    weighted = 50 * (entry.clean[0] + entry.worst[0])
    lines.append(
      f'<tr><td>{number}</td><td class="text"><a href="{text(entry.address)}">'
      f'{text(entry.name)}</a></td><td class="text">{text(entry.method)}</td>'
      f'<td class="text">{text(entry.network)}</td>{_accuracy(entry.clean)}'
      f'{_accuracy(entry.worst)}<td>{weighted:.2f}</td>'
      f'<td class="text {CHECKS.get(entry.checks, "soft")}">{text(entry.checks)}</td>'
      f'<td class="text"><small>{text(entry.note)}</small></td></tr>'
    )
  return f'<div class="scroll"><table><tbody><tr>{head}</tr>{"".join(lines)}</tbody></table></div>'


def _accuracy(found: tuple[float, Sequence[float]]) -> str:
  value, (low, high) = found
  return (
    f'<td data-key="{value}">{100 * value:.2f}'
    f'<small>{100 * low:.1f} – {100 * high:.1f}</small></td>'
  )
