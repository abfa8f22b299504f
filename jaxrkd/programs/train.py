"""Trains what a config describes, teachers first, and reports how robust it is.

Usage: python launch/main.py --config=configs/mtard_digits.py --workdir=runs/mtard_digits

Run again, it continues where it was. `--config.key=value` overrides a key; a config file
may take an argument after a colon, such as `:smoke`.
"""

import command_line
from absl import flags

from jaxrkd import experiment
from jaxrkd.programs import plan

flags.DEFINE_string('config', '', 'Config file, optionally with :argument.')
flags.DEFINE_bool(
  'dry_run', False, 'Print what would happen, do one step, write nothing.'
)


def main(overrides: list[str]) -> None:
  config = command_line.read_config(overrides)
  if flags.FLAGS.dry_run:
    plan.dry_run(config, flags.FLAGS.data_dir)
  else:
    workdir = command_line.required_workdir()
    experiment.train_and_evaluate(config, workdir, flags.FLAGS.data_dir)


if __name__ == '__main__':
  command_line.start(main, __doc__)
