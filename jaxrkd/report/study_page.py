"""The page of a study, out of what its table.json holds; and an index over a folder of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxrkd.report.markup import text, whole
from jaxrkd.report.papers import CITED

MARKS = {'holds here': 'good', 'does not hold': 'bad', 'cannot be told': 'open'}


def page(found: Mapping[str, Any], figures: Mapping[str, str]) -> str:
  """One self-contained HTML file.

  Args:
    found: what table.json holds; see `experiment.study_pages.record`.
    figures: name -> SVG.
  """
  title = _title(found)
  parts = [
    f'<h1>{text(title)}</h1><p class="lead">{text(found["asks"])}</p>',
    *(f'<p>{text(CITED[name])}</p>' for name in (found['paper'],) if name in CITED),
    _scale(found),
    *_overrides(found['overrides']),
    *_failures(found['failed']),
    *_read(found),
    _table(found),
    _what(found['what']),
    *_doubts(found),
    *_notes(found['notes']),
    *_claims(found['claims'], found['paper']),
    *(
      _figure(found['captions'].get(name, ''), name, svg) for name, svg in figures.items()
    ),
    _setup(found),
    *_cost(found['runs']),
    f'<h2>Again</h2><pre>{text(found["command"])}</pre>',
    f'<p><small>{_links(found)}{text(found["about"])}</small></p>',
  ]
  return whole(title, ''.join(parts))


def _title(found: Mapping[str, Any]) -> str:
  return ', '.join(filter(None, (found['paper'], found['item'])))


def index(studies: Sequence[Mapping[str, Any]]) -> str:
  """A page over the studies of a folder.

  Args:
    studies: what the table.json of each holds, and `folder`, where its page is.
  """
  lines = []
  for found in studies:
    counts = dict.fromkeys(MARKS, 0)
    for claim in found['claims']:
      counts[claim['verdict']] += 1
    told = ', '.join(
      f'<span class="{MARKS[mark]}">{count} {mark}</span>'
      for mark, count in counts.items()
      if count
    )
    done = sum(any(c['values'] for c in row['cells'].values()) for row in found['rows'])
    lines.append(
      f'<tr><td><a href="{text(found["folder"])}/index.html">'
      f'{text(_title(found))}</a></td><td class="text">{text(found["asks"])}</td>'
      f'<td>{text(found["scale"])}</td><td>{done} of {len(found["rows"])} rows</td>'
      f'<td class="text">{told or "no claims"}</td></tr>'
    )
  head = (
    '<tr><th>study</th><th class="text">question</th><th>scale</th><th>measured</th>'
    '<th class="text">claims</th></tr>'
  )
  body = (
    '<h1>Studies</h1><p>Tables and figures of papers that were done in this folder: how many of '
    'their rows were measured, and what became of the claims.</p>'
    # On a phone without its head, so that each cell says what it is.
    f'<div class="scroll"><table class="stacked">{head}{"".join(lines)}</table></div>'
  )
  return whole('Studies', body)


def markdown(found: Mapping[str, Any]) -> str:
  """The table as Markdown: measured (paper); below it what the measurements note."""
  titles = found['columns']
  heads = [_head(found, title) for title in titles]
  lines = [['', *heads], ['---'] * (len(titles) + 1)]
  for row in found['rows']:
    name = f'{row["block"]}: {row["name"]}' if row['block'] else row['name']
    name = name.replace('|', r'\|')
    lines.append([name, *(_plain(row['cells'][title]) for title in titles)])
  notes = [f'- {note} ({"; ".join(rows)})' for note, rows in found['notes'].items()]
  table = [f'| {" | ".join(line)} |' for line in lines]
  return '\n'.join([*table, *(['', *notes] if notes else [])])


def _number(cell: Mapping[str, Any], key: str) -> str:
  return f'{cell[key]:.{cell["digits"]}f}'


def _head(found: Mapping[str, Any], title: str) -> str:
  unit = found['units'][title]
  return title if unit in ('', '%', 'times') else f'{title} ({unit})'


def _plain(cell: Mapping[str, Any]) -> str:
  measured = '–' if cell['mean'] is None else f'{_number(cell, "mean")}{cell["star"]}'
  if cell['sd'] is not None:
    measured += f' ± {_number(cell, "sd")}'
  if cell['paper'] is None:
    return measured
  return f'{measured} (paper {cell["paper"]:.2f}{"?" if cell["doubtful"] else ""})'


def _read(found: Mapping[str, Any]) -> list[str]:
  """How the table is read."""
  told = 'Accuracies and probabilities in percent; other units are in the column heads.'
  if found['images']:
    told += f' Measured on {" and ".join(f"{n:,}" for n in found["images"])} test images.'
  cells = [cell for row in found['rows'] for cell in row['cells'].values()]
  if all(cell['paper'] is None for cell in cells):
    none = ' The paper prints no numbers of it to compare with.' if found['paper'] else ''
    return ['<h2>Measured</h2>', f'<p>{told}{none} {_seeds(found)}</p>']
  return [
    '<h2>Paper and measurement</h2>',
    f'<p>{told} The paper and the difference to it stand below each measured number. '
    f'{_seeds(found)} A question mark stands beside printed numbers that are in doubt.</p>',
  ]


def _what(told: Sequence[str]) -> str:
  return f'<p class="soft">{text(". ".join(told))}.</p>' if told else ''


def _links(found: Mapping[str, Any]) -> str:
  files = ('table.csv', 'table.json', 'table.md')
  told = ', '.join(f'<a href="{name}">{name}</a>' for name in files)
  every = (
    '<a href="../index.html">All studies of this folder</a>, ' if found['scale'] else ''
  )
  return f'{every}{told}. '


def _scale(found: Mapping[str, Any]) -> str:
  if not found['scale']:
    return ''
  if found['scale'] == 'paper':
    return f'<p class="soft">Scale: {text(found["scale_says"])}.</p>'
  size = "not the paper's" if found['set_up'] else 'not full size'
  return (
    f'<p class="note">Scale {text(found["scale"])}, {size}: '
    f'{text(found["scale_says"])}.</p>'
  )


def _seeds(found: Mapping[str, Any]) -> str:
  count = len(found['seeds'])
  if not found['scale']:
    return ''
  if count == 1:
    return f'One seed ({found["seeds"][0]}).'
  return f'Means and standard deviations of {count} seeds.'


def _overrides(texts: Sequence[str]) -> list[str]:
  if not texts:
    return []
  told = ', '.join(f'<code>{text(given)}</code>' for given in texts)
  return [
    f'<p class="note">Every row was changed: {told}. This is not the study as it is.</p>'
  ]


def _notes(notes: Mapping[str, Sequence[str]]) -> list[str]:
  if not notes:
    return []
  items = ''.join(
    f'<li>{text(note)} ({text("; ".join(rows))})</li>' for note, rows in notes.items()
  )
  return [f'<p>What the measurements note:</p><ul class="soft">{items}</ul>']


def _failures(failed: Mapping[str, str]) -> list[str]:
  if not failed:
    return []
  items = ''.join(f'<li>{text(row)}: {text(why)}</li>' for row, why in failed.items())
  return [f'<div class="note">Rows that could not be done:<ul>{items}</ul></div>']


def _table(found: Mapping[str, Any]) -> str:
  titles = found['columns']
  heads = ''.join(f'<th>{text(_head(found, title))}</th>' for title in titles)
  lines = [f'<tr><th></th>{heads}</tr>']
  block = ''
  for row in found['rows']:
    if row['block'] != block:
      block = row['block']
      lines.append(
        f'<tr class="block"><td colspan="{len(titles) + 1}">{text(block)}</td></tr>'
      )
    cells = ''.join(f'<td>{_cell(row["cells"][title])}</td>' for title in titles)
    lines.append(f'<tr><td>{text(row["name"])}</td>{cells}</tr>')
  return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _cell(cell: Mapping[str, Any]) -> str:
  if cell['mean'] is None:
    measured = '<span class="soft">–</span>'
  else:
    measured = f'<b>{_number(cell, "mean")}</b>{cell["star"]}'
    if cell['sd'] is not None:
      measured += f' ± {_number(cell, "sd")}'
  if cell['paper'] is None:
    return measured
  doubt = '?' if cell['doubtful'] else ''
  gap = '' if cell['difference'] is None else f' ({cell["difference"]:+.2f})'
  return f'{measured}<small>paper {cell["paper"]:.2f}{doubt}{gap}</small>'


def _doubts(found: Mapping[str, Any]) -> list[str]:
  notes: dict[str, list[str]] = {}
  for row in found['rows']:
    for title, cell in row['cells'].items():
      if cell['doubtful']:
        name = f'{row["block"]}: {row["name"]}' if row['block'] else row['name']
        notes.setdefault(cell['note'] or 'in doubt', []).append(f'{name}, {title}')
  if not notes:
    return []
  items = ''.join(
    f'<li>{text("; ".join(where))}: {text(note)}</li>' for note, where in notes.items()
  )
  return [f'<p>Printed numbers in doubt:</p><ul class="soft">{items}</ul>']


def _claims(claims: Sequence[Mapping[str, Any]], paper: str) -> list[str]:
  if not claims:
    return []
  asked = 'the paper says, as tested here' if paper else 'asked'
  lines = [f'<tr><th>{asked}</th><th>here</th><th class="text">because</th></tr>']
  for claim in claims:
    why = '<br>'.join(text(reason) for reason in claim['found'])
    lines.append(
      f'<tr><td class="text">{text(claim["text"])}</td>'
      f'<td class="{MARKS[claim["verdict"]]}">{claim["verdict"]}</td>'
      f'<td class="text"><small>{why}</small></td></tr>'
    )
  return [
    f'<h2>{"What the paper claims" if paper else "What was asked"}</h2>',
    '<p>A claim holds where the 95 % interval of every difference lies above what it '
    'says, and does not hold where one lies below. Everything else cannot be told.</p>',
    f'<div class="scroll"><table class="stacked">{"".join(lines)}</table></div>',
  ]


def _figure(caption: str, name: str, svg: str) -> str:
  # On a phone a figure of several panels scrolls by itself.
  svg = svg.replace('<svg ', '<svg class="wide" ', 1)
  return (
    f'<h2>{text(name)}</h2><figure>{svg}<figcaption>{text(caption)}</figcaption></figure>'
  )


def _setup(found: Mapping[str, Any]) -> str:
  if not found['set_up']:
    return ''
  items = ''.join(f'<li>{text(line)}.</li>' for line in found['set_up'])
  head = 'Set-up, and where it differs from the paper' if found['paper'] else 'Set-up'
  return f'<h2>{head}</h2><ul>{items}</ul>'


def _cost(runs: Sequence[Mapping[str, Any]]) -> list[str]:
  if not runs:
    return []
  lines = [
    '<tr><th>training</th><th class="text">for</th><th>epochs</th><th>s per epoch</th></tr>'
  ]
  for run in runs:
    speed = '–' if run['seconds'] is None else f'{run["seconds"]:.3g}'
    folder = text(run['folder'])
    lines.append(
      f'<tr><td><a href="../runs/{folder}">{folder}</a></td><td class="text"><small>'
      f'{text("; ".join(run["users"]))}</small></td><td>{run["epochs"] or "–"}</td>'
      f'<td>{speed}</td></tr>'
    )
  hours = sum((r['seconds'] or 0) * (r['epochs'] or 0) for r in runs) / 3600
  return [
    f'<h2>Cost</h2><p>{len(runs)} trainings, {hours:.2f} hours of training steps.</p>',
    f'<div class="scroll"><table>{"".join(lines)}</table></div>',
  ]
