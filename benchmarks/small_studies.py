"""Writes docs/small_scale.md from finished studies: tables, claims, figures, cost.

Usage: python benchmarks/small_studies.py runs/studies/mtard_table2-small-... [...]

Each argument is the folder of a study. Sections of other studies stay as they are,
and new ones follow them. Figures are copied into docs/pictures/small_scale/.
"""

import pathlib
import shutil

import study_sections
from study_sections import DOCS

PICTURES = DOCS / 'pictures' / 'small_scale'
HEAD = """# What the papers claim, at a small scale

These numbers are not the papers'. `--scale=small` takes networks of three convolutions, 10,000
training and 1,000 test images of CIFAR-10 and 20 epochs, so that a table takes hours on two CPU
cores. What may carry over is the order of the rows. A claim of a paper that does not hold here may
hold at the paper's scale, and the other way round. [Reproduce tables and figures](studies.md) says
how claims are judged. Each is judged alone at 95 %: of twenty, one holds by chance.
`python benchmarks/small_studies.py` writes this page.

The divergences of RSLAD, MTARD and MMARD have weight 1, where their code has 0.1, and ARD's is a
sum over classes, where its code has the mean. The best checkpoint is chosen on the test images, as
in the papers. W is the mean of clean and robust accuracy: a row may gain W and lose robustness.
Of AKD's studies Figures 2, 4 to 6 and S4 to S8 were measured, of AT-AKA's none, nor was the
CIFAR-100 half of MTARD's Table 2.

"""
VERDICTS = ('holds here', 'does not hold', 'cannot be told')


def table(found) -> list[str]:
  """Measured numbers; the papers' are in the study's own page."""
  heads = [
    title
    if found['units'].get(title, '%') in ('', '%')
    else f'{title} ({found["units"][title]})'
    for title in found['columns']
  ]
  rows = [
    [
      row['name'],
      *(study_sections.number(row['cells'][title]) for title in found['columns']),
    ]
    for row in found['rows']
  ]
  return study_sections.table(['', *heads], rows)


def claims(found) -> list[str]:
  rows = [
    [claim['text'], claim['verdict'], '<br>'.join(claim['found'])]
    for claim in found['claims']
  ]
  return study_sections.table(['the paper says, as tested here', 'here', 'because'], rows)


def section(folder: pathlib.Path) -> list[str]:
  name, found = study_sections.read(folder)
  lines = [
    f'## {found["paper"]}, {found["item"]}',
    '',
    f'{found["asks"]} `{name}`, {study_sections.cost(found)}',
    '',
    *table(found),
    '',
  ]
  if found['claims']:
    lines += [*claims(found), '']
  PICTURES.mkdir(parents=True, exist_ok=True)
  for figure, caption in found['captions'].items():
    stem = figure.lower().replace(' ', '_')
    sources = [
      p for p in folder.glob('*.svg') if p.stem.replace(',', '') == stem.replace(',', '')
    ]
    for source in sources:
      shutil.copy(source, PICTURES / f'{name}_{source.name}')
      lines += [
        f'![{found["paper"]}, {figure}](pictures/small_scale/{name}_{source.name})',
        '',
        f'{found["paper"]}, {figure}. {caption}'.strip(),
        '',
      ]
  return lines


def main() -> None:
  sections = study_sections.sections('small_scale.md', __doc__.splitlines()[0], section)
  counted = [
    [title, *(str(text.count(f' | {verdict} | ')) for verdict in VERDICTS)]
    for title, text in sections.items()
  ]
  overview = study_sections.table(['study', *VERDICTS], counted)
  text = '\n'.join(
    ['Claims of the papers, counted:', '', *overview, '', *sections.values()]
  )
  (DOCS / 'small_scale.md').write_text(HEAD + text, encoding='utf-8')


if __name__ == '__main__':
  main()
