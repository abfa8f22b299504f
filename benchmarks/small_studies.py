"""Writes docs/small_scale.md from finished studies: tables, claims, figures, cost.

Usage: python benchmarks/small_studies.py --root=runs/studies mtard_table2-small-... [...]

Each argument is the folder of a study below `--root`. Sections of other studies stay as they are,
and new ones follow them. Figures are copied into docs/pictures/small_scale/.
"""

import argparse
import json
import pathlib
import shutil

DOCS = pathlib.Path(__file__).parent.parent / 'docs'
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


def number(cell) -> str:
  if cell['mean'] is None:
    return ''
  text = f'{cell["mean"]:.{cell["digits"]}f}{cell["star"]}'
  return text if cell['sd'] is None else f'{text} ± {cell["sd"]:.{cell["digits"]}f}'


def table(found) -> list[str]:
  """Measured numbers; the papers' are in the study's own page."""
  heads = [
    title
    if found['units'].get(title, '%') in ('', '%')
    else f'{title} ({found["units"][title]})'
    for title in found['columns']
  ]
  lines = [['', *heads], ['---'] * (len(heads) + 1)]
  for row in found['rows']:
    lines.append([row['name'], *(number(row['cells'][t]) for t in found['columns'])])
  return [f'| {" | ".join(line)} |' for line in lines]


def claims(found) -> list[str]:
  lines = ['| the paper says, as tested here | here | because |', '| --- | --- | --- |']
  for claim in found['claims']:
    lines.append(
      f'| {claim["text"]} | {claim["verdict"]} | {"<br>".join(claim["found"])} |'
    )
  return lines


def section(folder: pathlib.Path) -> list[str]:
  found = json.loads((folder / 'table.json').read_text(encoding='utf-8'))
  name = folder.name.split('-')[0]
  seeds = len(found['seeds'])
  hours = sum((r['seconds'] or 0) * r['epochs'] for r in found['runs']) / 3600
  lines = [
    f'## {found["paper"]}, {found["item"]}',
    '',
    f'{found["asks"]} `{name}`, {seeds} seed{"s" if seeds > 1 else ""}, '
    f'{len(found["runs"])} trainings, {hours:.1f} hours of training steps.',
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


def present() -> dict[str, str]:
  """Heading -> section, of the page as it is."""
  page = DOCS / 'small_scale.md'
  parts = page.read_text(encoding='utf-8').split('\n## ')[1:] if page.exists() else []
  return {part.partition('\n')[0]: f'## {part.strip()}\n' for part in parts}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--root', type=pathlib.Path, required=True)
  parser.add_argument('studies', nargs='+')
  options = parser.parse_args()
  sections = present()
  for name in options.studies:
    lines = section(options.root / name)
    sections[lines[0].removeprefix('## ')] = '\n'.join(lines).strip() + '\n'
  overview = [f'| study | {" | ".join(VERDICTS)} |', '| --- | --- | --- | --- |']
  for title, text in sections.items():
    counts = [str(text.count(f' | {verdict} | ')) for verdict in VERDICTS]
    overview.append(f'| {title} | {" | ".join(counts)} |')
  text = '\n'.join(
    ['Claims of the papers, counted:', '', *overview, '', *sections.values()]
  )
  (DOCS / 'small_scale.md').write_text(HEAD + text, encoding='utf-8')


if __name__ == '__main__':
  main()
