"""The page of a study, out of what its table.json holds; and an index over a folder of them."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

STYLE = """
:root { --ink:#1b1f24; --soft:#5b6673; --line:#d9dee5; --paper:#fff; --tint:#f3f6fa;
  --good:#1a7f47; --bad:#b3261e; --open:#8a6100; --link:#0b57d0 }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ee; --soft:#9aa6b2; --line:#343b45;
  --paper:#14171b; --tint:#1d2229; --good:#5fd08f; --bad:#ff8a80; --open:#f0c14b;
  --link:#8ab4f8 } }
* { box-sizing:border-box } a { color:var(--link) }
body { font:16px/1.55 system-ui,sans-serif; color:var(--ink); background:var(--paper);
  max-width:74em; margin:0 auto; padding:1.5em }
h1 { font-size:1.6em; line-height:1.25; margin:.2em 0 } h2 { font-size:1.2em; margin:2em 0 .5em }
p.lead { font-size:1.1em; margin:.3em 0 1em } .soft, small { color:var(--soft) }
.scroll { overflow-x:auto; border:1px solid var(--line); border-radius:8px }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums }
th,td { padding:.4em .7em; text-align:right; border-bottom:1px solid var(--line);
  white-space:nowrap; vertical-align:top }
th:first-child,td:first-child,td.text,th.text { text-align:left }
td.text { white-space:normal } tr:last-child td { border-bottom:0 }
th { background:var(--tint); font-weight:600 } tr.block td { background:var(--tint);
  font-weight:600; text-align:left }
td b { font-weight:600 } td small { display:block; font-size:.8em }
.good { color:var(--good) } .bad { color:var(--bad) } .open { color:var(--open) }
.note { border-left:4px solid var(--open); background:var(--tint); padding:.6em 1em;
  margin:1em 0 } figure { margin:1em 0; padding:.8em; background:#fff; color:#111;
  border:1px solid var(--line); border-radius:8px } figure svg { max-width:100%; height:auto }
figcaption { font-size:.9em; color:#444 } code,pre { font:.9em/1.5 ui-monospace,monospace }
pre { background:var(--tint); padding:.8em; border-radius:8px; overflow-x:auto;
  white-space:pre-wrap } ul { padding-left:1.2em }
@media (max-width:40em) { figure { overflow-x:auto } figure svg { max-width:none; width:44em } }
@media print { body { max-width:none; padding:0; font-size:10pt } .scroll { overflow:visible;
  border:0 } th,td { padding:.2em .35em; white-space:normal } h2 { break-after:avoid }
  tr,figure { break-inside:avoid } }
"""
MARKS = {'holds here': 'good', 'does not hold': 'bad', 'cannot be told': 'open'}


def page(found: Mapping[str, Any], figures: Mapping[str, str]) -> str:
  """One self-contained HTML file.

  Args:
    found: what table.json holds; see `experiment.study_pages.record`.
    figures: name -> SVG.
  """
  title = ', '.join(filter(None, (found['paper'], found['item'])))
  parts = [
    f'<h1>{_text(title)}</h1><p class="lead">{_text(found["asks"])}</p>',
    _scale(found),
    *_overrides(found['overrides']),
    *_failures(found['failed']),
    *_read(found),
    _table(found),
    _what(found['what']),
    *_doubts(found),
    *_notes(found['notes']),
    *_claims(found['claims']),
    *(
      _figure(found['captions'].get(name, ''), name, svg) for name, svg in figures.items()
    ),
    _setup(found),
    *_cost(found['runs']),
    f'<h2>Again</h2><pre>{_text(found["command"])}</pre>',
    f'<p><small>{_links(found)}{_text(found["about"])}</small></p>',
  ]
  return _whole(title, ''.join(parts))


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
      f'<tr><td><a href="{_text(found["folder"])}/index.html">{_text(found["paper"])}, '
      f'{_text(found["item"])}</a></td><td class="text">{_text(found["asks"])}</td>'
      f'<td>{_text(found["scale"])}</td><td>{done} of {len(found["rows"])}</td>'
      f'<td class="text">{told or "none"}</td></tr>'
    )
  head = (
    '<tr><th>study</th><th class="text">question</th><th>scale</th><th>rows measured</th>'
    '<th class="text">claims</th></tr>'
  )
  body = (
    '<h1>Studies</h1><p>Tables and figures of papers that were done in this folder: how many of '
    'their rows were measured, and what became of the claims.</p>'
    f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>'
  )
  return _whole('Studies', body)


def markdown(found: Mapping[str, Any]) -> str:
  """The table as Markdown: measured (paper)."""
  titles = found['columns']
  heads = [_head(found, title) for title in titles]
  lines = [['', *heads], ['---'] * (len(titles) + 1)]
  for row in found['rows']:
    name = f'{row["block"]}: {row["name"]}' if row['block'] else row['name']
    name = name.replace('|', r'\|')
    lines.append([name, *(_plain(row['cells'][title]) for title in titles)])
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


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


def _whole(title: str, body: str) -> str:
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    f'<title>{_text(title)}</title><style>{STYLE}</style>{body}</html>\n'
  )


def _text(value: Any) -> str:
  return html.escape(str(value))


def _read(found: Mapping[str, Any]) -> list[str]:
  """How the table is read."""
  text = 'Accuracies and probabilities in percent; other units are in the column heads.'
  if found['images']:
    text += f' Measured on {" and ".join(f"{n:,}" for n in found["images"])} test images.'
  cells = [cell for row in found['rows'] for cell in row['cells'].values()]
  if all(cell['paper'] is None for cell in cells):
    return ['<h2>Measured</h2>', f'<p>{text} {_seeds(found)}</p>']
  return [
    '<h2>Paper and measurement</h2>',
    f'<p>{text} The paper and the difference to it stand below each measured number. '
    f'{_seeds(found)} A question mark stands beside printed numbers that are in doubt.</p>',
  ]


def _what(told: Sequence[str]) -> str:
  return f'<p class="soft">{_text(". ".join(told))}.</p>' if told else ''


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
    return f'<p class="soft">Scale: {_text(found["scale_says"])}.</p>'
  size = "not the paper's" if found['set_up'] else 'not full size'
  return (
    f'<p class="note">Scale {_text(found["scale"])}, {size}: '
    f'{_text(found["scale_says"])}.</p>'
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
  told = ', '.join(f'<code>{_text(text)}</code>' for text in texts)
  return [
    f'<p class="note">Every row was changed: {told}. This is not the study as it is.</p>'
  ]


def _notes(notes: Mapping[str, Sequence[str]]) -> list[str]:
  if not notes:
    return []
  items = ''.join(
    f'<li>{_text(note)} ({_text("; ".join(rows))})</li>' for note, rows in notes.items()
  )
  return [f'<p>What the measurements note:</p><ul class="soft">{items}</ul>']


def _failures(failed: Mapping[str, str]) -> list[str]:
  if not failed:
    return []
  items = ''.join(f'<li>{_text(row)}: {_text(why)}</li>' for row, why in failed.items())
  return [f'<div class="note">Rows that could not be done:<ul>{items}</ul></div>']


def _table(found: Mapping[str, Any]) -> str:
  titles = found['columns']
  heads = ''.join(f'<th>{_text(_head(found, title))}</th>' for title in titles)
  lines = [f'<tr><th></th>{heads}</tr>']
  block = ''
  for row in found['rows']:
    if row['block'] != block:
      block = row['block']
      lines.append(
        f'<tr class="block"><td colspan="{len(titles) + 1}">{_text(block)}</td></tr>'
      )
    cells = ''.join(f'<td>{_cell(row["cells"][title])}</td>' for title in titles)
    lines.append(f'<tr><td>{_text(row["name"])}</td>{cells}</tr>')
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
    f'<li>{_text("; ".join(where))}: {_text(note)}</li>' for note, where in notes.items()
  )
  return [f'<p>Printed numbers in doubt:</p><ul class="soft">{items}</ul>']


def _claims(claims: Sequence[Mapping[str, Any]]) -> list[str]:
  if not claims:
    return []
  lines = ['<tr><th>the paper says</th><th>here</th><th class="text">because</th></tr>']
  for claim in claims:
    why = '<br>'.join(_text(text) for text in claim['found'])
    lines.append(
      f'<tr><td class="text">{_text(claim["text"])}</td>'
      f'<td class="{MARKS[claim["verdict"]]}">{claim["verdict"]}</td>'
      f'<td class="text"><small>{why}</small></td></tr>'
    )
  return [
    '<h2>What the paper claims</h2>',
    '<p>A claim holds where the 95 % interval of every difference lies above what it '
    'says, and does not hold where one lies below. Everything else cannot be told.</p>',
    f'<div class="scroll"><table>{"".join(lines)}</table></div>',
  ]


def _figure(caption: str, name: str, svg: str) -> str:
  return f'<h2>{_text(name)}</h2><figure>{svg}<figcaption>{_text(caption)}</figcaption></figure>'


def _setup(found: Mapping[str, Any]) -> str:
  if not found['set_up']:
    return ''
  items = ''.join(f'<li>{_text(text)}.</li>' for text in found['set_up'])
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
    folder = _text(run['folder'])
    lines.append(
      f'<tr><td><a href="../runs/{folder}">{folder}</a></td><td class="text"><small>'
      f'{_text("; ".join(run["users"]))}</small></td><td>{run["epochs"] or "–"}</td>'
      f'<td>{speed}</td></tr>'
    )
  hours = sum((r['seconds'] or 0) * (r['epochs'] or 0) for r in runs) / 3600
  return [
    f'<h2>Cost</h2><p>{len(runs)} trainings, {hours:.2f} hours of training steps.</p>',
    f'<div class="scroll"><table>{"".join(lines)}</table></div>',
  ]
