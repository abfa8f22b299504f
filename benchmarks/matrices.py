"""Writes docs/matrices.md from finished matrices: accuracies, and what the extras add.

Usage: python benchmarks/matrices.py RUNS/matrix_digits-small-... [RUNS/matrix_cifar10-small-...]

Each argument is the folder of a study. Sections of other studies stay as they are.
"""

import functools
import pathlib
import re
import shlex

import study_sections
from study_sections import DOCS, table

PLAIN = 'plain'
PLACES = ('--workdir=', '--data_dir=')
# Of a claim's text: the difference and its interval.
FOUND = re.compile(r'([+-][\d.]+) points .*95 %: ([+-][\d.]+) to ([+-][\d.]+)')
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
- The extras have one setting for all methods: AWP gamma 0.005 after a twentieth of the epochs, IGDM
  alpha 1 on digits. Their authors take gamma 0.01 with SAT, and search alpha for each method.
- IKL has AWP in all its rows, as its authors train it. IGDM needs a robust teacher that stays as it
  is; methods without one have a dash.
- A column and the same with SWA are one training, of which the other version is measured.
- ± is the standard deviation over the seeds.
- Left out are AT-AKA and CAT-AKA, which train several networks, and CKD, AKD and FFGSM. IAD-II, GKL
  and the other Fair methods are variants of rows that are there.
- A difference is paired: both networks of a seed see the same test images. Its interval (95 %) is
  that of a study's [claims](studies.md#claims). Of twenty differences that are none, one is marked
  by chance.
- The interval of one seed speaks of other test images, not of other seeds.
- APGD-T is an upper bound of robust accuracy. It is not AutoAttack.

"""


number = functools.partial(study_sections.number, digits=1, none='–')


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


def as_run(command: str) -> str:
  """Without the places of one machine."""
  kept = [part for part in shlex.split(command) if not part.startswith(PLACES)]
  return shlex.join(kept)


def section(folder: pathlib.Path) -> list[str]:
  _, found = study_sections.read(folder)
  cells = {(row['block'], row['name']): row['cells'] for row in found['rows']}
  extras = list(dict.fromkeys(block for block, _ in cells))
  methods = list(dict.fromkeys(method for _, method in cells))
  lines = [
    f'## {found["item"]}',
    '',
    f'`{as_run(found["command"])}`: {study_sections.cost(found)} {". ".join(found["what"])}.',
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
    lines += [*table([title, *extras], rows), '']
  gains = added(found)
  rows = [
    [method, *(gains.get((extra, method), '–') for extra in extras if extra != PLAIN)]
    for method in methods
    if any((extra, method) in gains for extra in extras)
  ]
  head = ['Added to APGD-T, points', *(extra for extra in extras if extra != PLAIN)]
  lines += [*table(head, rows), '']
  up = sum(claim['verdict'] == 'holds here' for claim in found['claims'])
  down = sum(claim['verdict'] == 'does not hold' for claim in found['claims'])
  lines += [
    f'Of {len(found["claims"])} pairs of a method and an extra, {up} gain, {down} lose, and of '
    'the rest it cannot be told. Bold intervals leave 0 out; so would '
    f'{0.05 * len(found["claims"]):.2g} of them where no extra did anything.',
    '',
  ]
  return lines


def main() -> None:
  sections = study_sections.sections('matrices.md', __doc__.splitlines()[0], section)
  (DOCS / 'matrices.md').write_text(HEAD + '\n'.join(sections.values()), encoding='utf-8')


if __name__ == '__main__':
  main()
