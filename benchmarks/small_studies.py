"""Writes docs/small_scale.md from finished studies: tables, claims, figures, cost.

Usage: python benchmarks/small_studies.py --root=runs/studies mtard_table2-small-... [...]

Each argument is the folder of a study below `--root`. Figures are copied into
docs/pictures/small_scale/.
"""

import argparse
import json
import pathlib
import shutil

DOCS = pathlib.Path(__file__).parent.parent / 'docs'
PICTURES = DOCS / 'pictures' / 'small_scale'
HEAD = """# The papers' studies on two CPU cores

These numbers are not the papers'. `--scale=small` takes networks of three convolutions, 10,000
training and 1,000 test images of CIFAR-10 and 20 epochs, so that a table takes hours on two CPU
cores. What may carry over is the order of the rows. A claim of a paper that does not hold here may
hold at the paper's scale, and the other way round. [studies.md](studies.md) says how claims are
judged. `python benchmarks/small_studies.py` writes this page.

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
  lines = ['| the paper says | here | because |', '| --- | --- | --- |']
  for claim in found['claims']:
    lines.append(
      f'| {claim["text"]} | {claim["verdict"]} | {"<br>".join(claim["found"])} |'
    )
  return lines


def section(folder: pathlib.Path) -> tuple[list[str], list[int]]:
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
  counts = [sum(c['verdict'] == verdict for c in found['claims']) for verdict in VERDICTS]
  return lines, counts


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--root', type=pathlib.Path, required=True)
  parser.add_argument('studies', nargs='+')
  options = parser.parse_args()
  shutil.rmtree(PICTURES, ignore_errors=True)
  body: list[str] = []
  overview = [
    '| study | holds here | does not hold | cannot be told |',
    '| --- | --- | --- | --- |',
  ]
  for name in options.studies:
    lines, counts = section(options.root / name)
    overview.append(f'| {lines[0][3:]} | {" | ".join(map(str, counts))} |')
    body += lines
  text = '\n'.join(['Claims of the papers, counted:', '', *overview, '', *body])
  (DOCS / 'small_scale.md').write_text(HEAD + text, encoding='utf-8')


if __name__ == '__main__':
  main()
