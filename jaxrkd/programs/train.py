"""Trains what a config describes, teachers first, and reports how robust it is.

Usage: jaxrkd train --config=mtard_digits --workdir=runs/mtard_digits

If you run the same command again, it continues where it stopped. `--config.key=value`
overrides a key; a config file may take an argument after a colon, such as `:smoke`.
"""

import pathlib
import time

from absl import flags

from jaxrkd import experiment
from jaxrkd.commands import command
from jaxrkd.programs import command_line, plan
from jaxrkd.runtime.progress import clock, say


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_string('config', '', 'Config file, optionally with :argument.')
  flags.DEFINE_bool(
    'dry_run', False, 'Print what would happen, do one step, write nothing.'
  )


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  config = command_line.read_config(overrides)
  if flags.FLAGS.dry_run:
    plan.dry_run(config, flags.FLAGS.data_dir)
  else:
    workdir = command_line.required_workdir()
    began = time.monotonic()
    experiment.train_and_evaluate(config, workdir, flags.FLAGS.data_dir)
    _tell_where(pathlib.Path(workdir), time.monotonic() - began)


def _tell_where(workdir: pathlib.Path, seconds: float) -> None:
  """Says where to look, most readable first."""
  told = {
    'report.html': 'the page: open it in a browser',
    'seeds': 'the run of each seed, with its page',
    'results.json': 'all numbers',
    'checkpoints/best': 'the network',
  }
  there = {name: what for name, what in told.items() if (workdir / name).exists()}
  width = max((len(str(workdir / name)) for name in there), default=0)
  lines = [f'  {workdir / name!s:{width}}  {what}' for name, what in there.items()]
  more = f'{command("report")} --workdir={workdir.parent}'
  say(
    '\n'.join(
      [f'\ndone in {clock(seconds)}', *lines, f'{more} compares the runs of a folder']
    )
  )
