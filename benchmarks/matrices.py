"""Writes docs/matrices.md from finished matrices: accuracies, and what the extras add.

Usage: python benchmarks/matrices.py RUNS/matrix_digits-small-... [RUNS/matrix_cifar10-small-...]

Each argument is the folder of a study. Sections of other studies stay as they are.
"""

import argparse
import json
import pathlib
import re

PAGE = pathlib.Path(__file__).parent.parent / 'docs' / 'matrices.md'
PLAIN = 'plain'
# Of a claim's text: the difference and its interval.
FOUND = re.compile(r'([+-][\d.]+) points .*95 %: ([+-][\d.]+) to ([+-][\d.]+)')
# Limits, which small sources do not reach.
SIZES = re.compile(r' \([\d,]+ training and [\d,]+ test images\)')
HEAD = """# Methods and extras, side by side

What do AWP, SWA and IGDM add to each method? Every row is trained with the settings of its config,
but for the number of epochs, and measured with the same attacks. [Reproduce tables and
figures](studies.md#scales) says what the scales are. All rows show the last epoch, or, with SWA,
the average over the second half of the epochs. `python benchmarks/matrices.py` writes this page.

- The networks are small and the epochs few. That an extra adds nothing here does not say that it
  adds nothing to a large network that overfits.
- No setting was tuned: each method has its authors' settings, which suit CIFAR-10 and a larger
  network, and some suit the small ones better than others. Compare an extra with the same method
  without it, rather than two methods.
- A difference is paired: both networks of a seed see the same test images. Its interval (95 %) is
  that of a study's [claims](studies.md#claims). Of twenty differences that are none, one is marked
  by chance.
- APGD-T is an upper bound of robust accuracy. It is not AutoAttack.

"""


def number(cell) -> str:
  if cell is None or cell['mean'] is None:
    return '–'
  told = f'{cell["mean"]:.1f}{cell["star"]}'
  return told if cell['sd'] is None else f'{told} ± {cell["sd"]:.1f}'


def lines_of(head, rows) -> list[str]:
  lines = [head, ['---'] * len(head), *rows]
  return [f'| {" | ".join(line)} |' for line in lines] + ['']


def added(found) -> dict[tuple[str, str], str]:
  """(extra, method) -> what it adds to APGD-T, bold where the interval leaves 0 out."""
  made = {}
  for claim in found['claims']:
    extra, _, method = claim['text'].partition(' adds to the robust accuracy of ')
    seen = FOUND.search(' '.join(claim['found']))
    if method and seen:
      middle, low, high = (f'{float(value):+.1f}' for value in seen.groups())
      told = f'{middle} ({low} to {high})'
      sure = float(seen[2]) > 0 or float(seen[3]) < 0
      made[extra, method] = f'**{told}**' if sure else told
  return made


def section(folder: pathlib.Path) -> list[str]:
  found = json.loads((folder / 'table.json').read_text(encoding='utf-8'))
  name = folder.name.split('-')[0]
  cells = {(row['block'], row['name']): row['cells'] for row in found['rows']}
  extras = list(dict.fromkeys(block for block, _ in cells))
  methods = list(dict.fromkeys(method for _, method in cells))
  seeds, hours = len(found['seeds']), 0.0
  for run in found['runs']:
    hours += (run['seconds'] or 0) * run['epochs'] / 3600
  lines = [
    f'## {found["item"]}',
    '',
    f'`jaxrkd study --name={name} --scale={found["scale"]}`: {seeds} '
    f'seed{"s" if seeds > 1 else ""}, {len(found["runs"])} trainings, {hours:.1f} hours of '
    f'training steps. {SIZES.sub("", ". ".join(found["what"]))}.',
    '',
  ]
  for column, title in (
    ('APGD-T', 'Accuracy under APGD-T, %'),
    ('Clean', 'Clean accuracy, %'),
  ):
    rows = [
      [method, *(number(cells.get((extra, method), {}).get(column)) for extra in extras)]
      for method in methods
    ]
    lines += lines_of([title, *extras], rows)
  gains = added(found)
  rows = [
    [method, *(gains.get((extra, method), '–') for extra in extras if extra != PLAIN)]
    for method in methods
    if any((extra, method) in gains for extra in extras)
  ]
  head = ['Added to APGD-T, points', *(extra for extra in extras if extra != PLAIN)]
  lines += lines_of(head, rows)
  up = sum(claim['verdict'] == 'holds here' for claim in found['claims'])
  down = sum(claim['verdict'] == 'does not hold' for claim in found['claims'])
  lines += [
    f'Of {len(found["claims"])} pairs of a method and an extra, {up} gain, {down} lose, and of '
    'the rest it cannot be told. Bold intervals leave 0 out.',
    '',
  ]
  return lines


def present() -> dict[str, str]:
  """Heading -> section, of the page as it is."""
  parts = PAGE.read_text(encoding='utf-8').split('\n## ')[1:] if PAGE.exists() else []
  return {part.partition('\n')[0]: f'## {part.strip()}\n' for part in parts}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('studies', nargs='+', type=pathlib.Path)
  sections = present()
  for folder in parser.parse_args().studies:
    lines = section(folder)
    sections[lines[0].removeprefix('## ')] = '\n'.join(lines).strip() + '\n'
  PAGE.write_text(HEAD + '\n'.join(sections.values()), encoding='utf-8')


if __name__ == '__main__':
  main()
