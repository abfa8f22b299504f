"""The README of a published student: what it withstands, how that was measured, how to use it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxrkd.evaluate import results

TRUST = {
  'pass': 'Nothing speaks against these numbers: no check warned or failed.',
  'warn': '**Read the warnings before you rely on these numbers.**',
  'fail': '**Do not rely on these numbers: a check failed.**',
  'none': '**It is not known whether these numbers can be trusted: no check could be made.**',
}
# Sources of data that are no data sets by name.
NAMELESS = ('folder', 'mat', 'npy', 'npz', 'parquet', 'synthetic', 'tfds')
UNCHECKED = (
  '**No trust checks were made of these numbers, so it is not known whether the attacks were '
  'strong enough.**'
)


class Published(NamedTuple):
  """What the card says.

  Attributes:
    name: of the run.
    lead: one or two sentences with the numbers that matter.
    card: what the weights carry: 'network', 'classes', 'image_shape', 'data', 'config'.
    found: what results.json holds of the run.
    row: `results.summarize` of the network that is published.
    place: where it is pulled from.
  """

  name: str
  lead: str
  card: Mapping[str, Any]
  found: Mapping[str, Any]
  row: Mapping[str, Any]
  place: str


def model_card(about: Published) -> str:
  """Markdown with the header that the Hugging Face hub reads."""
  card, found, row = about.card, about.found, about.row
  names = list(found.get('class_names') or ())
  weakest = results.weakest(row, names)
  parts = [
    _header(about),
    f'# {about.name}',
    about.lead,
    _trust_in_words(found.get('trust')),
    f'## Robustness\n\n{_accuracies(row, found["evaluation"])}',
    f'{weakest[0].upper()}{weakest[1:]} (in %).' if weakest else '',
    _notes(row, found),
    _checks(found.get('trust')),
    f'## Network\n\n{_network(card, names)}',
    f'## Training\n\n{_training(card, found)}',
    f'## Use\n\n{_use(about)}',
  ]
  return '\n\n'.join(part for part in parts if part) + '\n'


def _header(about: Published) -> str:
  lines = [
    '---',
    'library_name: jaxrkd',
    'pipeline_tag: image-classification',
    'tags:',
    *(f'- {tag}' for tag in ('adversarial-robustness', 'knowledge-distillation', 'jax')),
  ]
  data = str(about.card['data'])
  if data not in NAMELESS:
    lines += ['datasets:', f'- {data}']
  lines.append('---')
  return '\n'.join(lines)


def _percent(value: float, bounds: Sequence[float] = ()) -> str:
  told = f'{100 * value:.2f}'
  return told + (f' ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})' if bounds else '')


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join(
    f'| {" | ".join(cell.replace("|", "/") for cell in line)} |' for line in lines
  )


def _accuracies(row: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
  lines = [['none (clean)', '', _percent(row['clean'], row['clean_interval'])]]
  for name, seen in row['attacks'].items():
    node = evaluation['attacks'].get(name, {})
    settings = ', '.join(
      f'{key} {value}'
      for key, value in sorted(node.items())
      if value not in (None, '', 'none') and not (key == 'name' and value == name)
      if not (key == 'eps' and not value)
    )
    told = _percent(seen['robust'], seen['interval'])
    lines.append([name, settings, told + results.star(seen)])
  worst = _percent(row['worst_case'], row['worst_case_interval'])
  lines.append(['**worst case**', 'all of them that have a ball', f'**{worst}**'])
  threat = evaluation['threat']
  ball = ', '.join(f'{key} {value}' for key, value in sorted(threat.items()))
  return (
    f'Accuracy in % of {row["images"]:,} {evaluation["split"]} images, with 95 % intervals. '
    f'Ball: {ball}, in [0, 1] pixels. Robust accuracy is an upper bound.\n\n'
    + _table(['attack', 'settings', 'accuracy'], lines)
  )


def _notes(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
  notes = [
    f'\\* {name}: {results.why(seen)}'
    for name, seen in row['attacks'].items()
    if results.star(seen)
  ]
  chosen = (found.get('selection') or {}).get('note')
  notes += [*results.notes(found), *([chosen] if chosen else [])]
  if not found.get('finished', True):
    notes.append('the measurement was interrupted')
  return '\n'.join(f'- {note}' for note in notes)


def _trust_in_words(trust: Mapping[str, Any] | None) -> str:
  return TRUST[trust['status']] if trust else UNCHECKED


def _checks(trust: Mapping[str, Any] | None) -> str:
  if not trust:
    return ''
  lines = [
    [
      check['status'],
      check['name'],
      '' if check['value'] is None else f'{check["value"]:.4g} {check["unit"]}'.strip(),
      check['advice'] if check['status'] in ('warn', 'fail') else '',
    ]
    for check in trust['checks']
  ]
  return (
    f'## Can the numbers be trusted?\n\nChecked on {trust["images"]} images.\n\n'
    + _table(['', 'check', 'value', 'advice'], lines)
  )


def _network(card: Mapping[str, Any], names: Sequence[str]) -> str:
  node = card['network']
  options = ', '.join(
    f'{key} {value}'
    for key, value in node.items()
    if key != 'name' and value not in ((), [], None, '')
  )
  shape = 'x'.join(map(str, card['image_shape']))
  classes = f'{card["classes"]} classes'
  if names:
    shown = ', '.join(names[:20]) + (', ...' if len(names) > 20 else '')
    classes += f' ({shown})'
  return (
    f'{node["name"]} ({options}), images {shape} in [0, 1], {classes}. Weights have the names '
    "of RobustBench's model definitions; the normalisation is "
    + (f'mean {card["mean"]}, std {card["std"]}.' if card['mean'] else 'none.')
  )


def _training(card: Mapping[str, Any], found: Mapping[str, Any]) -> str:
  config = card['config']
  told = [
    f'Method {config["method"]["name"]} on {card["data"]}, checkpoint '
    f'{card["checkpoint"]} (step {card["step"]}), seed {config.get("seed", 0)}. The whole '
    'config is in the metadata of the weights.'
  ]
  recipe = found.get('recipe') or {}
  changes = [[f'`{key}`', str(a), str(b)] for key, a, b in recipe.get('changes', ())]
  if changes:
    told.append(
      f'It differs from the recipe `{recipe["spec"]}`:\n\n'
      + _table(['key', 'recipe', 'here'], changes)
    )
  versions = found.get('versions') or {}
  told.append(', '.join(f'{name} {value}' for name, value in versions.items()))
  return '\n\n'.join(told)


def _use(about: Published) -> str:
  return (
    f'    jaxrkd pull --from={about.place} --workdir=runs/{about.name}\n'
    f'    jaxrkd evaluate --workdir=runs/{about.name} --attacks=autoattack\n\n'
    '```python\nimport jaxrkd\n\n'
    f"logits_fn = jaxrkd.load_run('runs/{about.name}')  # of images [B, H, W, C] in [0, 1]\n"
    '```'
  )
