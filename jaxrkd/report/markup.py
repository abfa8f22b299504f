"""What all pages share: their style, escaped texts, tables that scroll on a phone."""

import html
from collections.abc import Sequence
from typing import Any

STYLE = """
:root { --ink:#1b1f24; --soft:#5b6673; --line:#d9dee5; --paper:#fff; --tint:#f3f6fa;
  --good:#1a7f47; --bad:#b3261e; --open:#8a6100; --link:#0b57d0; --c0:#0b57d0; --c1:#c4501b;
  --c2:#1a7f47; --c3:#8430ce; --c4:#8a6100; --c5:#00798c; --c6:#b3261e; --c7:#5b6673 }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ee; --soft:#9aa6b2; --line:#343b45;
  --paper:#14171b; --tint:#1d2229; --good:#5fd08f; --bad:#ff8a80; --open:#f0c14b;
  --link:#8ab4f8; --c0:#8ab4f8; --c1:#f4a06b; --c2:#5fd08f; --c3:#c9a0f5; --c4:#f0c14b;
  --c5:#5cc8d7; --c6:#ff8a80; --c7:#9aa6b2 } }
@media print { :root { --ink:#000; --soft:#444; --line:#bbb; --paper:#fff; --tint:#f3f3f3;
  --good:#1a7f47; --bad:#b3261e; --open:#8a6100; --link:#000; --c0:#0b57d0; --c1:#c4501b;
  --c2:#1a7f47; --c3:#8430ce; --c4:#8a6100; --c5:#00798c; --c6:#b3261e; --c7:#5b6673 } }
* { box-sizing:border-box } a { color:var(--link) }
body { font:16px/1.55 system-ui,sans-serif; color:var(--ink); background:var(--paper);
  max-width:74em; margin:0 auto; padding:1.5em }
h1 { font-size:1.6em; line-height:1.25; margin:.2em 0 } h2 { font-size:1.2em; margin:2em 0 .5em }
p.lead { font-size:1.1em; margin:.3em 0 1em } .soft, small { color:var(--soft) }
.scroll { overflow-x:auto; border:1px solid var(--line); border-radius:8px; background:
  linear-gradient(90deg,var(--paper) 30%,transparent) 0 0/3em 100% no-repeat local,
  linear-gradient(-90deg,var(--paper) 30%,transparent) 100% 0/3em 100% no-repeat local,
  linear-gradient(90deg,var(--soft),transparent) 0 0/.7em 100% no-repeat scroll,
  linear-gradient(-90deg,var(--soft),transparent) 100% 0/.7em 100% no-repeat scroll }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums }
th,td { padding:.4em .7em; text-align:right; border-bottom:1px solid var(--line);
  white-space:nowrap; vertical-align:top }
th:first-child,td:first-child,td.text,th.text { text-align:left }
td.text { white-space:normal } tr:last-child td { border-bottom:0 }
th { background:var(--tint); font-weight:600 } tr.block td { background:var(--tint);
  font-weight:600; text-align:left } tr.own td { background:var(--tint); font-weight:600 }
tr.own td small { font-weight:400 }
td b { font-weight:600 } td small { display:block; font-size:.8em }
td.text small { min-width:20em }
.good { color:var(--good) } .bad { color:var(--bad) } .open { color:var(--open) }
.note { border-left:4px solid var(--open); background:var(--tint); padding:.6em 1em;
  margin:1em 0 } .note.good { border-color:var(--good); color:var(--ink) }
.note.bad { border-color:var(--bad); color:var(--ink) } .note.open { color:var(--ink) }
figure { margin:1em 0; padding:.8em; background:#fff; color:#111;
  border:1px solid var(--line); border-radius:8px } .charts+.scroll { margin-top:1em }
figure svg { max-width:100%; height:auto }
figcaption { font-size:.9em; color:#444 } code,pre { font:.9em/1.5 ui-monospace,monospace }
pre { background:var(--tint); padding:.8em; border-radius:8px; overflow-x:auto;
  white-space:pre-wrap; overflow-wrap:anywhere } ul { padding-left:1.2em }
.charts { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(22em,100%),1fr));
  gap:1em } .charts figure { margin:0; background:none; color:var(--ink); max-width:40em }
.charts svg { width:100%; height:auto; display:block } .charts figcaption { color:var(--soft) }
.chart text { font-family:system-ui,sans-serif }
details { margin:1em 0 } summary { cursor:pointer; color:var(--link) }
@media (max-width:40em) { body { padding:1em } figure { overflow-x:auto }
  figure > svg.wide { max-width:none; width:44em }
  .stacked tr { display:block; padding:.4em 0; border-bottom:1px solid var(--line) }
  .stacked td { display:block; text-align:left; border:0; padding:.1em .7em }
  .stacked tr:first-child { display:none } .stacked td.text small { min-width:0 } }
@media print { body { max-width:none; padding:0; font-size:10pt } .scroll { overflow:visible;
  border:0 } th,td { padding:.2em .35em; white-space:normal } h2 { break-after:avoid }
  tr,figure { break-inside:avoid } * { print-color-adjust:exact } }
"""


def text(value: Any) -> str:
  """Whatever is shown, escaped."""
  return html.escape(str(value))


def sentence(value: str) -> str:
  """A capital letter before and a full stop behind it, escaped."""
  end = '' if value.endswith('.') else '.'
  return text(f'{value[:1].upper()}{value[1:]}{end}')


def whole(title: str, body: str, style: str = '', script: str = '') -> str:
  """A self-contained page.

  Args:
    title: of the window, not escaped yet.
    body: HTML.
    style: CSS of this kind of page alone.
    script: JavaScript, if it has any.
  """
  run = f'<script>{script}</script>' if script else ''
  return (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    # Browsers ask for an icon that no folder has.
    '<link rel="icon" href="data:,">'
    f'<title>{text(title)}</title><style>{STYLE}{style}</style></head>'
    f'<body>{body}{run}</body></html>\n'
  )


def table(
  head: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int] = ()
) -> str:
  """A table that scrolls by itself where the page is narrow.

  Args:
    head: HTML of the first line.
    rows: HTML of the others.
    texts: columns besides the first that are read from left to right.
  """

  def line(tag: str, cells: Sequence[str]) -> str:
    mark = lambda k: ' class="text"' if k in texts else ''
    told = (f'<{tag}{mark(k)}>{cell}</{tag}>' for k, cell in enumerate(cells))
    return f'<tr>{"".join(told)}</tr>'

  body = ''.join(line('td', row) for row in rows)
  return f'<div class="scroll"><table>{line("th", head)}{body}</table></div>'
