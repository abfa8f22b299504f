"""The page of a run: what came out, whether it holds, how it was trained, how to do it again."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrkd.evaluate import results
from jaxrkd.evaluate.confidence import wilson
from jaxrkd.evaluate.corruption_accuracy import SEVERITIES, said
from jaxrkd.report import charts, confusion, distance_section, training_charts
from jaxrkd.report.example_cards import Examples, cards
from jaxrkd.report.markup import sentence, table, text, whole

STYLE = """
.classes { display:grid; grid-template-columns:max-content 1fr max-content; gap:.25em .8em;
  align-items:center } .track { position:relative; height:1.1em; background:var(--tint);
  border-radius:3px; overflow:hidden } .track i { position:absolute; inset:0 auto 0 0 }
.track .clean { background:var(--c0); opacity:.3 } .track .robust { background:var(--c0) }
.key i { display:inline-block; width:.9em; height:.9em; border-radius:2px;
  background:var(--c0); vertical-align:-.1em } .key .clean { opacity:.3 }
.cards { display:grid; grid-template-columns:repeat(auto-fill,minmax(15.5em,1fr)); gap:1em }
.card { border:1px solid var(--line); border-radius:8px; padding:.7em; break-inside:avoid }
.card div { display:grid; grid-template-columns:repeat(3,1fr); gap:.4em }
.card img { width:100%; image-rendering:pixelated; border-radius:3px; display:block }
.card p { margin:.5em 0 0; font-size:.9em; line-height:1.4 }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.3em 1em; margin:0 }
dt { color:var(--soft) } dd { margin:0 }
@media (max-width:40em) { dl { grid-template-columns:1fr } dt { margin-top:.4em } }
"""
# Of corruptions.json.
ASKED = {'accuracy', 'images', 'clean', 'source', 'checkpoint', 'step', 'mean_error'}
# Classes that are shown at once.
CLASSES = 20
# Changed keys that are shown at once.
CHANGES = 40
VERDICTS = {
  'pass': ('good', 'Nothing speaks against these numbers: {passed}.'),
  'warn': ('open', 'Read the warnings before you rely on these numbers: {names}.'),
  'fail': ('bad', 'Do not rely on these numbers. What failed: {names}.'),
  'none': (
    'open',
    'No check could be made, so it is not known whether these numbers can be trusted.',
  ),
}
SKIPPED = {
  'transfer beats white-box': 'There was no other network to make images on: a run has its '
  'teachers, and trust_panel takes surrogates.'
}
RESULTS = {'pass': 'good', 'warn': 'open', 'fail': 'bad', 'skip': 'soft'}


@dataclasses.dataclass(frozen=True)
class Content:
  """What the page of a run shows.

  Attributes:
    title: what was measured, and how.
    lead: one sentence with the numbers that matter.
    about: where it comes from: run, seed, versions.
    rows: network -> `results.summarize`.
    stands: the row that stands for the run.
    heads: column -> its heading, where that is not its name.
    found: what results.json holds; `trust`, `curves`, `distances`, `selection`,
      `evaluation`, `finished` and what `results.notes` reads are read.
    metrics: the rows of metrics.jsonl.
    best_step: of the best checkpoint; None where nothing was chosen.
    classes: names of the classes; empty shows their numbers.
    corruptions: what corruptions.json holds; None where there is none.
    examples: adversarial images; None if none were kept.
    cost: (what, how much) pairs.
    recipe: what the config is compared with; '' if with nothing.
    changes: (key, value in the recipe, value here).
    command: what repeats the run; '' where none is known.
    links: (address beside the page, what it is).
  """

  title: str
  lead: str
  about: str
  rows: Mapping[str, Mapping[str, Any]]
  stands: str
  found: Mapping[str, Any]
  heads: Mapping[str, str] = dataclasses.field(default_factory=dict)
  metrics: Sequence[Mapping[str, Any]] = ()
  best_step: int | None = None
  classes: Sequence[str] = ()
  corruptions: Mapping[str, Any] | None = None
  examples: Examples | None = None
  cost: Sequence[tuple[str, str]] = ()
  recipe: str = ''
  changes: Sequence[tuple[str, str, str]] = ()
  command: str = ''
  links: Sequence[tuple[str, str]] = ()


def page(content: Content) -> str:
  """One self-contained HTML file."""
  found = content.found
  notes = results.notes(found)
  parts = [
    f'<h1>{text(content.title)}</h1><p class="lead">{text(content.lead)}</p>',
    *_verdict(found.get('trust')),
    *_unfinished(found),
    *(f'<p class="note">{sentence(note)}</p>' for note in notes),
    _accuracies(content),
    *_curves(found),
    *distance_section.section(found.get('distances')),
    *_classes(content),
    *_corruptions(content),
    *cards(content.examples, content.classes, content.rows[content.stands]),
    *_checks(found.get('trust')),
    *training_charts.section(content.metrics, content.best_step),
    *_cascades(content.rows),
    *_cost(content.cost),
    *_changes(content.recipe, content.changes),
    *_command(content.command),
    *_links(content.links),
    f'<p><small>{text(content.about)}</small></p>' if content.about else '',
  ]
  return whole(content.title, ''.join(parts), STYLE)


def _verdict(trust: Mapping[str, Any] | None) -> list[str]:
  if not trust:
    return [
      '<p class="note open">No trust checks were made of these numbers, so it is not known '
      'whether the attacks were strong enough.</p>'
    ]
  kind, told = VERDICTS[trust['status']]
  names = [
    check['name'] for check in trust['checks'] if check['status'] == trust['status']
  ]
  skipped = sum(check['status'] == 'skip' for check in trust['checks'])
  passed = 'all checks passed'
  if skipped:
    passed = f'{len(names)} checks passed, and {skipped} could not be made'
  told = text(told.format(names=', '.join(names), passed=passed))
  return [f'<p class="note {kind}">{told} <a href="#trust">See the checks.</a></p>']


def _unfinished(found: Mapping[str, Any]) -> list[str]:
  if found.get('finished', True):
    return []
  return [
    '<p class="note bad">This measurement was interrupted: checks, curves or images may be '
    'missing. The command that measured it finishes it.</p>'
  ]


def _accuracies(content: Content) -> str:
  rows = content.rows
  first = next(iter(rows.values()))
  attacks = list(first['attacks'])
  named = [content.heads.get(attack, attack) for attack in attacks]
  # The worst case first: on a phone the rest is behind the edge.
  head = ['network', 'clean', 'worst case', *map(text, named)]
  lines, notes = [], []
  for name, found in rows.items():
    worst = (found['worst_case'], found['worst_case_interval'])
    cells = [
      _cell(found['clean'], found['clean_interval']),
      _cell(*worst, found['clean']),
    ]
    for attack in attacks:
      seen = found['attacks'][attack]
      star = results.star(seen)
      cells.append(_cell(seen['robust'], seen['interval'], found['clean'], star))
      if star:
        notes.append(f'* {name}, {attack}: {results.why(seen)}.')
      if results.hits(seen):
        notes.append(f'{name}, {attack}: {results.hits(seen)}.')
    lines.append([text(name), *cells])
  own = rows[content.stands]['attacks']
  stay = {attack: results.eight_bit(own[attack]) for attack in attacks}
  rounded = ''
  if any(stay.values()):
    called = zip(named, stay.values(), strict=True)
    counts = '; '.join(f'{attack}: {count}' for attack, count in called if count)
    rounded = (
      f'<p class="soft">Adversarial images of {text(content.stands)} that stay adversarial '
      f'when they are rounded to 8 bits, as in a PNG: {text(counts)}. No attack was told of '
      'the rounding.</p>'
    )
  below = ''.join(f'<p class="note">{text(note)}</p>' for note in notes) + rounded
  shown = table(head, lines).replace(
    f'<tr><td>{text(content.stands)}<', f'<tr class="own"><td>{text(content.stands)}<'
  )
  return (
    f'<h2>Accuracy</h2><p>In percent of {first["images"]:,} images, with 95 % confidence '
    'intervals. An image that is wrong without an attack is not robust. The worst case '
    'counts an image as robust if it withstands every attack of the table that has a ball. W '
    f'is the mean of clean and robust accuracy. {sentence(content.found["selection"]["note"])}</p>'
    f'{shown}{below}'
  )


def _cell(
  value: float, bounds: Sequence[float], clean: float | None = None, star: str = ''
) -> str:
  weighted = '' if clean is None else f'<br>W {50 * (clean + value):.2f}'
  return (
    f'{100 * value:.2f}{star}<small>{100 * bounds[0]:.1f} – {100 * bounds[1]:.1f}'
    f'{weighted}</small>'
  )


def _curves(found: Mapping[str, Any]) -> list[str]:
  curves = found.get('curves')
  if not curves:
    return []
  series = {}
  for name, points in curves.items():
    eps, accuracy = zip(*points)
    series[name] = charts.Line(eps, [100 * a for a in accuracy], dots=True)
  part = found['evaluation']
  drawn = charts.lines(
    'Accuracy under PGD-20',
    series,
    f'eps ({part["threat"]["name"]})',
    'accuracy in %',
    bottom=0.0,
  )
  some = next((row for row in found['student'].values()), {'images': 0})
  count = min(part.get('trust', {}).get('images', 0), some['images'])
  told = 'on the first images, right or wrong'
  if count:
    # The widest interval is that of one half.
    low, high = wilson(count // 2, count)
    told = (
      f'on the first {count:,} images, right or wrong, so that a point may be off by '
      f'{50 * (high - low):.0f} points'
    )
  return [
    '<h2>Accuracy against eps</h2><p>A robust network loses accuracy slowly, and has none '
    f'left in a ball that is large enough. Measured {told}. PGD-20 alone is asked, while the '
    'table counts every attack: the table is the stricter one.</p>',
    f'<div class="charts"><figure>{drawn}</figure></div>',
  ]


def _classes(content: Content) -> list[str]:
  counts = content.rows[content.stands].get('per_class')
  if not counts:
    return []  # of an older version
  found = []
  for number, images in enumerate(counts['images']):
    if images:
      clean, robust = (counts[key][number] / images for key in ('clean', 'worst_case'))
      found.append((robust, clean, _name(content, number)))
  found.sort()
  bars = [
    f'<span>{text(name)}</span><span class="track"><i class="clean" '
    f'style="width:{100 * clean:.1f}%"></i><i class="robust" '
    f'style="width:{100 * robust:.1f}%"></i></span>'
    f'<span>{100 * robust:.1f} of {100 * clean:.1f}</span>'
    for robust, clean, name in found
  ]
  shown = f'<div class="classes">{"".join(bars[:CLASSES])}</div>'
  if len(bars) > CLASSES:
    shown += (
      f'<details><summary>{len(bars) - CLASSES} more classes</summary>'
      f'<div class="classes">{"".join(bars[CLASSES:])}</div></details>'
    )
  return [
    '<h2>Class by class</h2>',
    f'<p>Of {text(content.stands)}, in percent of the images of each class, the weakest class '
    'first: <span class="key"><i class="robust"></i> worst case of <i class="clean"></i> '
    'clean</span>.</p>',
    shown,
    *_mistakes(content, counts['images']),
  ]


def _corruptions(content: Content) -> list[str]:
  found = content.corruptions
  if not isinstance(found, dict) or not found.keys() >= ASKED:
    return []  # of another version
  head = ['corruption', *(f'severity {s}' for s in SEVERITIES), 'mean']
  lines = []
  for name, values in found['accuracy'].items():
    mean = sum(values) / len(values)
    lines.append([text(name), *(f'{100 * value:.1f}' for value in (*values, mean))])
  told = (
    f'Accuracy in percent of {found["images"]:,} images, {100 * found["clean"]:.1f} % as they '
    f'are; corruptions of CIFAR-10-C, {found["source"]}. In all: {said(found)}.'
  )
  told += f' Measured on the checkpoint {found["checkpoint"]} (step {found["step"]}).'
  return ['<h2>Corruptions</h2>', f'<p>{text(told)}</p>', table(head, lines)]


def _mistakes(content: Content, images: Sequence[int]) -> list[str]:
  told = content.rows[content.stands].get('confusion')
  if not told:
    return []  # of an older version
  return confusion.section(told, images, lambda number: _name(content, number))


def _name(content: Content, number: int) -> str:
  if number < 0:
    return 'no number'
  return content.classes[number] if number < len(content.classes) else f'class {number}'


def _checks(trust: Mapping[str, Any] | None) -> list[str]:
  if not trust:
    return []
  lines = []
  for check in trust['checks']:
    status = check['status']
    told = {
      'pass': check.get('passed', ''),
      'skip': SKIPPED.get(check['name'], 'This check could not be made.'),
    }.get(status, check['advice'])
    value = ''
    if check['value'] is not None:
      unit = f' {check["unit"]}'.rstrip()
      value = (
        f'{check["value"]:.4g}{unit}<small>warns above {check["warn"]:g}, fails above '
        f'{check["fail"]:g}</small>'
      )
    result = f'<span class="{RESULTS[status]}">{status}</span>'
    lines.append([text(check['name']), result, value, text(told)])
  return [
    '<h2 id="trust">Can these numbers be trusted?</h2>',
    '<p>Robust accuracy is an upper bound: a stronger attack can only lower it. These checks '
    f'look for signs of attacks that were too weak, on {trust["images"]} images that are '
    'right without an attack.</p>',
    table(['check', 'result', 'value', 'what it means'], lines, texts=(1, 3)),
  ]


def _cascades(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
  """What the parts of cascades did, where there are any."""
  lines = []
  for name, found in rows.items():
    for attack, seen in found['attacks'].items():
      if list(seen['stages']) == [attack]:
        continue
      for part, counts in seen['stages'].items():
        numbers = (counts['tried'], counts['broken'], f'{counts["seconds"]:.1f}')
        lines.append([text(x) for x in (name, attack, part, *numbers)])
  if not lines:
    return []
  head = ['network', 'attack', 'part', 'tried on', 'broke', 'seconds']
  return ['<h2>Which attack broke how many images</h2>', table(head, lines, texts=(1, 2))]


def _cost(cost: Sequence[tuple[str, str]]) -> list[str]:
  if not cost:
    return []
  lines = ''.join(f'<dt>{text(what)}</dt><dd>{text(much)}</dd>' for what, much in cost)
  return [f'<h2>Cost</h2><dl>{lines}</dl>']


def _changes(recipe: str, changes: Sequence[tuple[str, str, str]]) -> list[str]:
  if not recipe:
    return []
  head = '<h2>What differs from the recipe</h2>'
  if not changes:
    return [head, f'<p>Nothing: this is <code>{text(recipe)}</code> as it is.</p>']
  lines = [[f'<code>{text(x)}</code>' for x in change] for change in changes]
  columns, left = ['key', 'recipe', 'here'], (1, 2)
  more = ''
  if len(lines) > CHANGES:
    rest = table(columns, lines[CHANGES:], left)
    more = f'<details><summary>{len(lines) - CHANGES} more keys</summary>{rest}</details>'
  return [
    head,
    f'<p>Compared with <code>{text(recipe)}</code>.</p>',
    table(columns, lines[:CHANGES], left),
    more,
  ]


def _command(command: str) -> list[str]:
  return [f'<h2>Again</h2><pre>{text(command)}</pre>'] if command else []


def _links(links: Sequence[tuple[str, str]]) -> list[str]:
  if not links:
    return []
  items = ''.join(
    f'<li><a href="{text(address)}">{text(address)}</a>: {text(what)}</li>'
    for address, what in links
  )
  return [f'<h2>Files</h2><ul>{items}</ul>']
