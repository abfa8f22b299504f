"""Measures a finished run again, with the attacks it was made with or others.

Usage: python launch/evaluate.py --workdir=runs/mtard_digits
       python launch/evaluate.py --workdir=runs/mtard_digits --attacks=autoattack
       python launch/evaluate.py --workdir=runs/mtard_digits \\
         --attacks=pgd_40,square_100,pgd_trades@robust --config.evaluation.threat.eps=4/255

Overrides may touch `evaluation`, `seed` and the teachers' `workdir`. What was measured before
with the same settings is taken from the run's folder; new settings go to a file named after
them, such as results-autoattack-1f0c2d5e.json, and leave results.json alone. Killed, the same
command goes on. Of several seeds (--config.seeds) all runs are measured.
"""

import sys

import command_line
from absl import flags

from jaxrkd.programs import evaluate as remeasure
from jaxrkd.runtime.progress import put

flags.DEFINE_list(
  'attacks',
  None,
  'Columns in place of those of the run: autoattack, pgd_40, square_100, cw_inf, ...; '
  'with @TEACHER or @WORKDIR images are made on that network (transfer).',
)
flags.DEFINE_boolean(
  'strict', False, 'Exit with status 3 if a trust check fails, 4 if none could be made.'
)
STATUS = {'fail': 3, 'none': 4}


def main(overrides: list[str]) -> None:
  workdir = command_line.required_workdir()
  found = remeasure.remeasure(
    workdir, overrides, flags.FLAGS.data_dir, flags.FLAGS.attacks
  )
  status = found.get('trust', {}).get('status', 'none')
  if flags.FLAGS.strict and status in STATUS:
    put(f'trust: {status}', sys.stderr)
    sys.exit(STATUS[status])


if __name__ == '__main__':
  command_line.start(main, __doc__)
