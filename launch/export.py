"""Writes one trained network of a run to an .npz file of named arrays.

Usage: python launch/export.py --workdir=runs/mtard_digits --out=student.npz
       python launch/export.py --workdir=runs/cat_aka --network=student_2 --out=s2.npz

`jaxrkd.export.load_exported` reads it back; numpy reads the arrays.
"""

import command_line
from absl import flags

from jaxrkd import export
from jaxrkd.errors import InputError, one_of
from jaxrkd.runtime.progress import say

flags.DEFINE_string('out', '', 'The file, ending in .npz.')
flags.DEFINE_string('network', '', 'One of several networks; empty takes the student.')
flags.DEFINE_string('checkpoint', 'best', 'best, last or ema.')


def main(overrides: list[str]) -> None:
  found = flags.FLAGS
  if overrides:
    raise InputError(f'--config.{overrides[0]}: an export takes no config keys')
  if not found.out:
    raise InputError('no --out; name a file, such as --out=student.npz')
  one_of(found.checkpoint, ('best', 'last', 'ema'), '--checkpoint')
  workdir = command_line.required_workdir()
  name = export.export(
    workdir, found.out, network=found.network, checkpoint=found.checkpoint
  )
  say(f'{name}, {found.checkpoint}, written to {found.out}')


if __name__ == '__main__':
  command_line.start(main, __doc__)
