"""Measures a finished run again, with the attacks it was made with or others.

Usage: python launch/evaluate.py --workdir=runs/mtard_digits
       python launch/evaluate.py --workdir=runs/mtard_digits \\
         --config.evaluation.threat.eps=4/255

Overrides may touch `evaluation`, `precision`, `seed` and the teachers' `workdir`. What was
measured before with the same settings is taken from the run's folder; new settings go to
results-<settings>.json and leave results.json alone.
"""

import command_line
from absl import flags

from jaxrkd import remeasure


def main(overrides: list[str]) -> None:
  workdir = command_line.required_workdir()
  remeasure.remeasure(workdir, overrides, flags.FLAGS.data_dir)


if __name__ == '__main__':
  command_line.start(main, __doc__)
