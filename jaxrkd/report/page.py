"""report.html of a run: accuracies, what each attack did, whether the numbers hold."""

import base64
import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrkd.evaluate import results
from jaxrkd.runtime import files

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72em; margin: 2em auto; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .3em .8em; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child, td.text { text-align: left }
small { color: #777; display: block }
.pass { background: #d9f0dc } .warn { background: #fdeec2 } .fail { background: #f8d3d0 }
.skip { background: #eee }
"""


def write_report(
  path: pathlib.Path,
  title: str,
  rows: Mapping[str, Mapping[str, Any]],
  found: Mapping[str, Any],
  about: str = '',
) -> None:
  """Writes one self-contained page.

  Args:
    path: of the page.
    title: what was measured, and how.
    rows: name -> `results.summarize` of that network.
    found: what results.json holds; `trust`, `selection`, `threat_note` and
      `data_notes` are read.
    about: where it comes from: run, seed, versions.

  Raises:
    InputError: the page cannot be written.
  """
  first = next(iter(rows.values()))
  notes = [*filter(None, [found.get('threat_note')]), *found.get('data_notes', ())]
  parts = [
    f'<h1>{html.escape(title)}</h1>',
    f'<p>{first["images"]} images; 95% confidence intervals below the accuracies in %. An '
    'image that is wrong without an attack is not robust. '
    f'{html.escape(found["selection"]["note"].capitalize())}.</p>',
    *([f'<p><small>{html.escape(about)}</small></p>'] if about else []),
    *(f'<p class="warn">{html.escape(_sentence(note))}</p>' for note in notes),
    _accuracies(rows),
    *_cascades(rows),
    *(_panel(found['trust']) if found.get('trust') else []),
  ]
  page = (
    f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>'
    f'<style>{STYLE}</style>{"".join(parts)}\n'
  )
  files.write_text(path, page)


def _sentence(text: str) -> str:
  return f'{text[:1].upper()}{text[1:]}.'


def _accuracies(rows: Mapping[str, Mapping[str, Any]]) -> str:
  attacks = list(next(iter(rows.values()))['attacks'])
  table, notes = [['', 'clean', *map(html.escape, attacks), 'worst case']], []
  for name, found in rows.items():
    values = [(found['clean'], found['clean_interval'], '')]
    for attack in attacks:
      seen = found['attacks'][attack]
      values.append((seen['robust'], seen['interval'], results.star(seen)))
      if results.star(seen):
        notes.append(f'* {name}, {attack}: {results.why(seen)}.')
      if results.hits(seen):
        notes.append(f'{name}, {attack}: {results.hits(seen)}.')
    values.append((found['worst_case'], found['worst_case_interval'], ''))
    cells = [
      f'{100 * value:.2f}{mark}<small>{_range(bounds)}</small>'
      for value, bounds, mark in values
    ]
    table.append([html.escape(name), *cells])
  below = ''.join(f'<p class="warn">{html.escape(note)}</p>' for note in notes)
  return f'<h2>Accuracy</h2>{_table(table)}{below}'


def _cascades(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
  """What the parts of cascades did, where there are any."""
  table = [['network', 'attack', 'part', 'tried on', 'broke', 'seconds']]
  for name, found in rows.items():
    for attack, seen in found['attacks'].items():
      if list(seen['stages']) == [attack]:
        continue
      for part, counts in seen['stages'].items():
        numbers = (counts['tried'], counts['broken'], f'{counts["seconds"]:.1f}')
        table.append([html.escape(x) for x in (name, attack, part, *map(str, numbers))])
  if len(table) == 1:
    return []
  return ['<h2>Which attack broke how many images</h2>', _table(table)]


def _panel(trust: Mapping[str, Any]) -> list[str]:
  lines = ['<tr><th>check</th><th>result</th><th>value</th><th>limits</th><th></th></tr>']
  for check in trust['checks']:
    value = '' if check['value'] is None else f'{check["value"]:.4g} {check["unit"]}'
    # What it would mean reads as if it were so.
    advice = check['advice'] if check['status'] in ('warn', 'fail') else ''
    lines.append(
      f'<tr><td>{html.escape(check["name"])}</td>'
      f'<td class="{check["status"]}">{check["status"]}</td><td>{value}</td>'
      f'<td>{check["warn"]:g} / {check["fail"]:g} {check["unit"]}</td>'
      f'<td class="text">{html.escape(advice)}</td></tr>'
    )
  picture = ''
  if trust['curve']:
    from jaxrkd.report import pictures  # matplotlib takes half a second to import

    drawn = base64.b64encode(pictures.accuracy_curve(trust['curve'])).decode()
    picture = (
      f'<p><img alt="accuracy against eps" src="data:image/png;base64,{drawn}"></p>'
    )
  return [
    f'<h2>Can these numbers be trusted? <span class="{trust["status"]}">'
    f'&nbsp;{trust["status"]}&nbsp;</span></h2>',
    f'<p>Checked on {trust["images"]} images that are right without an attack.</p>',
    f'<table>{"".join(lines)}</table>',
    picture,
  ]


def _range(bounds: Sequence[float]) -> str:
  return f'{100 * bounds[0]:.1f} – {100 * bounds[1]:.1f}'


def _table(rows: Sequence[Sequence[str]]) -> str:
  head = ''.join(f'<th>{cell}</th>' for cell in rows[0])
  body = ''.join(
    f'<tr>{"".join(f"<td>{cell}</td>" for cell in row)}</tr>' for row in rows[1:]
  )
  return f'<table><tr>{head}</tr>{body}</table>'
