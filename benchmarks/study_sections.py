"""What the pages that programs write from finished studies have in common."""

import argparse
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

DOCS = pathlib.Path(__file__).parent.parent / 'docs'


def number(
  cell: Mapping[str, Any] | None, digits: int | None = None, none: str = ''
) -> str:
  """A measured cell of a study's table.json, with its deviation where it has one."""
  if cell is None or cell['mean'] is None:
    return none
  digits = cell['digits'] if digits is None else digits
  told = f'{cell["mean"]:.{digits}f}{cell["star"]}'
  return told if cell['sd'] is None else f'{told} ± {cell["sd"]:.{digits}f}'


def table(head: list[str], rows: list[list[str]]) -> list[str]:
  """Lines of a table."""
  return [f'| {" | ".join(line)} |' for line in (head, ['---'] * len(head), *rows)]


def cost(found: Mapping[str, Any]) -> str:
  """Seeds, trainings and hours of a study, in words."""
  seeds = len(found['seeds'])
  hours = sum((run['seconds'] or 0) * run['epochs'] for run in found['runs']) / 3600
  return (
    f'{seeds} seed{"s" if seeds > 1 else ""}, {len(found["runs"])} trainings, '
    f'{hours:.1f} hours of training steps.'
  )


def read(folder: pathlib.Path) -> tuple[str, dict[str, Any]]:
  """Name of a study, and what its table.json holds."""
  found = json.loads((folder / 'table.json').read_text(encoding='utf-8'))
  return folder.name.split('-')[0], found


def sections(
  page: str, about: str, section: Callable[[pathlib.Path], list[str]]
) -> dict[str, str]:
  """Heading -> section of a page in docs/, those of the command line made anew.

  Args:
    page: name of the file.
    about: of the program, for --help.
    section: folder of a study -> lines, the heading first.
  """
  parser = argparse.ArgumentParser(description=about)
  parser.add_argument('studies', nargs='+', type=pathlib.Path, help='folders of studies')
  path = DOCS / page
  parts = path.read_text(encoding='utf-8').split('\n## ')[1:] if path.exists() else []
  found = {part.partition('\n')[0]: f'## {part.strip()}\n' for part in parts}
  for folder in parser.parse_args().studies:
    lines = section(folder)
    found[lines[0].removeprefix('## ')] = '\n'.join(lines).strip() + '\n'
  return found
