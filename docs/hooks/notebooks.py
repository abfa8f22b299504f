"""Runs the notebooks of the tutorials: `python docs/hooks/notebooks.py [--write] [NAME ...]`.

Each runs in an empty folder, so that it can use nothing but what is installed. A cell that fails
ends the program. `--write` keeps the outputs in the notebooks, which the site shows.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parents[1] / 'tutorials'
# Seconds for a cell.
LIMIT = 900


def run(path: pathlib.Path) -> nbformat.NotebookNode:
  """The notebook with its outputs."""
  notebook = nbformat.read(path, as_version=4)
  with tempfile.TemporaryDirectory() as folder:
    NotebookClient(
      notebook, timeout=LIMIT, resources={'metadata': {'path': folder}}
    ).execute()
  for cell in notebook.cells:
    # Times would make every run another file.
    cell.metadata.pop('execution', None)
    if 'outputs' in cell:
      cell.outputs = tidied(cell.outputs, folder)
  return notebook


def tidied(outputs: list, folder: str) -> list:
  """One box of text for what a cell printed, without warnings and the folder it ran in."""
  found: list = []
  for output in outputs:
    if output.output_type != 'stream':
      found.append(output)
    elif output.name == 'stdout':
      output.text = output.text.replace('\r\n', '\n').replace(f'{folder}/', '')
      if found and found[-1].output_type == 'stream':
        found[-1].text += output.text
      else:
        found.append(output)
  return found


def main() -> None:
  """See the top of this file."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('names', nargs='*', help='of notebooks; all if none are given')
  parser.add_argument('--write', action='store_true', help='keep the outputs')
  options = parser.parse_args()
  # Commands of cells are those of this Python.
  os.environ['PATH'] = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'
  for path in sorted(FOLDER.glob('*.ipynb')):
    if options.names and path.stem not in options.names:
      continue
    began = time.monotonic()
    found = run(path)
    if options.write:
      nbformat.write(found, path)
    print(f'{path.name}: ran in {time.monotonic() - began:.0f} s', flush=True)


if __name__ == '__main__':
  main()
