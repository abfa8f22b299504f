"""Makes the page of a run anew from its files, or one that compares a folder of runs.

Usage: jaxrkd report --workdir=runs/mtard_digits
       jaxrkd report --workdir=runs

Of a run, every report.html is written anew from its results, and nothing is measured. Of a
folder, runs.html has a table of all measured runs below it, with links to their pages.
"""

import pathlib

from jaxrkd.errors import InputError
from jaxrkd.programs import command_line
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say


def define() -> None:
  """Defines the flags: it has none of its own."""


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  if overrides:
    raise InputError(f'--config.{overrides[0]}: a report takes no config keys')
  workdir = pathlib.Path(command_line.required_workdir())
  if not workdir.is_dir():
    raise InputError(f'{str(workdir)!r} is no folder; name a run, or a folder of runs')
  for path in report(workdir):
    say(f'report: {path}')


def report(workdir: pathlib.Path) -> list[pathlib.Path]:
  """Writes the pages of a run, or the one of a folder of runs; returns their paths.

  Raises:
    InputError: nothing was measured there, or a page cannot be written.
  """
  # matplotlib takes half a second to import.
  from jaxrkd.experiment import runs_report

  if not sharding.is_first_process():
    return []
  if not (workdir / 'config.json').is_file() or (workdir / runs_report.SEEDS).is_dir():
    made = []
    for run in runs_report.runs(workdir):
      try:
        made += _of_run(run)
      except InputError as error:
        # The others are shown all the same, and the page says of this one what is wrong.
        say(f'no page of {run}: {error}')
    return [*made, runs_report.write(workdir)]
  found = _of_run(workdir)
  if not found:
    raise InputError(
      f'{str(workdir)!r} has no results yet; run the command that trained it again: it '
      'also measures the run'
    )
  return found


def _of_run(workdir: pathlib.Path) -> list[pathlib.Path]:
  from jaxrkd.experiment import run_report

  results = sorted(workdir.glob(f'{run_report.RESULTS}*.json'))
  return [run_report.write(workdir, path) for path in results]
