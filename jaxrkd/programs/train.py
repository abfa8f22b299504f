"""Trains what a config describes, teachers first, and reports how robust it is.

Usage: jaxrkd train --config=mtard_digits --workdir=runs/mtard_digits

Run again, it continues where it was. `--config.key=value` overrides a key; a config file
may take an argument after a colon, such as `:smoke`.
"""

from absl import flags

from jaxrkd import experiment
from jaxrkd.programs import command_line, plan


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
    experiment.train_and_evaluate(config, workdir, flags.FLAGS.data_dir)
