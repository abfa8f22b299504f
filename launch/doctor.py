"""Examines a teacher: is it the one it should be, and is it used as it was trained?

Usage: python launch/doctor.py --teacher=runs/trades
       python launch/doctor.py --teacher=model_cifar_wrn.pt --recipe=trades_wrn_34_10
       python launch/doctor.py --teacher=runs/mtard/teachers/robust --student=runs/mtard
       python launch/doctor.py --teacher=mine.pth --config.student.normalisation=cifar10 \\
         --config.evaluation.threat.eps=4/255

Classes and images, weights, input range and normalisation, clean and PGD-20 accuracy against
what is known of it, entropy and calibration of its predictions, and how often the student's
adversarial images fool it: pass, warn or fail in one table. The exit status is 3 where a
check fails. A run keeps the table in doctor.json.
"""

import sys

import command_line
from absl import flags

from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate.teacher_checks import verdict
from jaxrkd.programs import doctor

flags.DEFINE_string('teacher', '', 'Workdir of a run or an import, or a file of weights.')
flags.DEFINE_string('recipe', '', 'Which public teacher a file is.')
flags.DEFINE_string(
  'student', '', "Workdir of a run: try its student's adversarial images."
)
flags.DEFINE_string('kind', '', 'robust or clean; empty takes what is known of it.')
flags.DEFINE_integer('images', 1000, 'Test images for accuracies; 0 takes all.')
flags.DEFINE_integer('attacked', 200, 'How many of them are attacked; 0 takes all.')
flags.DEFINE_list('image_shape', [], 'height,width,channels of a file; by default 32,32.')
flags.DEFINE_float('seconds', 60, 'About how long it may take on images; 0: no limit.')


def main(overrides: list[str]) -> None:
  found = flags.FLAGS
  if not found.teacher:
    raise InputError('no --teacher; name a run, an import or a file of weights')
  one_of(found.kind, ('', 'robust', 'clean'), '--kind')
  for name in ('images', 'attacked', 'seconds'):
    if found[name].value < 0:
      raise InputError(f'--{name} is {found[name].value}; it must be 0 or more')
  findings = doctor.examine(
    command_line.home(found.teacher),
    recipe=found.recipe,
    student=command_line.home(found.student),
    kind=found.kind,
    overrides=overrides,
    images=found.images,
    attacked=found.attacked,
    seconds=found.seconds,
    image_shape=command_line.image_shape(found.image_shape),
    data_dir=found.data_dir,
  )
  if verdict(findings) == 'fail':
    sys.exit(3)


if __name__ == '__main__':
  command_line.start(main, __doc__)
