"""Examines a teacher: is it the one it should be, and is it used as it was trained?

Usage: jaxrkd doctor --teacher=runs/trades
       jaxrkd doctor --teacher=model_cifar_wrn.pt --recipe=trades_wrn_34_10
       jaxrkd doctor --teacher=runs/mtard/teachers/robust --student=runs/mtard
       jaxrkd doctor --teacher=mine.pth --config.student.normalisation=cifar10 \\
         --config.evaluation.threat.eps=4/255
       jaxrkd doctor --rank --teachers=runs/trades,runs/sat --workdir=runs/ranking
       jaxrkd doctor --rank --teachers=runs/trades,trades_wrn_34_10=model_cifar_wrn.pt \
         --short=sat:mobilenet_v2 --epochs=20 --workdir=runs/ranking
       jaxrkd doctor --rank --teachers=A,B --students=runs/sat,runs/trades --workdir=C

Classes and images, weights, input range and normalisation, clean and PGD-20 accuracy against
what is known of it, entropy and calibration of its predictions, and how often the student's
adversarial images fool it: pass, warn or fail in one table. The exit status is 3 where a
check fails. A run keeps the table in doctor.json.

--rank puts several teachers into one table, says which to take and why, and leaves
ranking.html and ranking.json in --workdir. The exit status is 3 where none is to be taken.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jaxrkd import experiment
from jaxrkd.attacks.threat import radius
from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate import teacher_checks as checks
from jaxrkd.evaluate.teacher_checks import Finding
from jaxrkd.paths import expanded
from jaxrkd.programs import command_line, exit_status
from jaxrkd.programs.admission import admit, broken, student_of
from jaxrkd.programs.examination import Examination, Examined
from jaxrkd.programs.ranking import rank_teachers
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

ALONE = ('teacher', 'recipe', 'student', 'kind', 'seconds')
TOGETHER = ('teachers', 'students', 'short', 'epochs', 'train_images')


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_string(
    'teacher', '', 'Workdir of a run or an import, or a file of weights.'
  )
  flags.DEFINE_string('recipe', '', 'Recipe of the public teacher that a file holds.')
  flags.DEFINE_string(
    'student', '', "Workdir of a run: try its student's adversarial images."
  )
  flags.DEFINE_string('kind', '', 'robust or clean; empty asks the recipe or the run.')
  flags.DEFINE_integer('images', 1000, 'Test images for accuracies; 0 takes all.')
  flags.DEFINE_integer('attacked', 200, 'How many of them are attacked; 0 takes all.')
  flags.DEFINE_list(
    'image_shape', [], 'height,width,channels of a file; by default 32,32.'
  )
  flags.DEFINE_float('seconds', 60, 'Seconds for the images, about; 0 is no limit.')
  flags.DEFINE_bool('rank', False, 'Rank several teachers as teachers.')
  flags.DEFINE_list(
    'teachers',
    [],
    'With --rank: workdirs of runs or imports, or RECIPE=FILE for files of weights.',
  )
  flags.DEFINE_list(
    'students',
    [],
    'With --rank: workdirs of robust students that had no teacher; empty trains short ones.',
  )
  # Not a list: words of a recipe are separated by commas.
  flags.DEFINE_multi_string(
    'short', ['sat', 'trades'], 'With --rank: recipe of a short student; may be repeated.'
  )
  flags.DEFINE_integer('epochs', 10, 'With --rank: epochs of each short student.')
  flags.DEFINE_integer(
    'train_images', 2000, 'With --rank: training images that are looked at; 0 takes all.'
  )


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  for name in (*ALONE, *TOGETHER):
    if found[name].present and found.rank != (name in TOGETHER):
      other = 'leave it out' if found.rank else 'add --rank'
      why = 'for one teacher, without --rank' if found.rank else 'for --rank'
      raise InputError(f'--{name} is {why}; {other}')
  if found['workdir'].present and not found.rank:
    raise InputError("--workdir is for --rank; a teacher's table lies in its own folder")
  for name in ('short', 'epochs'):
    if found[name].present and found['students'].present:
      raise InputError(
        f'--{name} is for short students, but --students names trained ones; leave one of the '
        'two out'
      )
  for name in ('images', 'attacked', 'train_images', 'seconds'):
    if getattr(found, name) < 0:
      raise InputError(f'--{name} is {getattr(found, name)}; it must be 0 or more')
  if found.rank:
    choice = rank_teachers(
      found.teachers,
      command_line.home(found.workdir),
      students=found.students,
      short=found.short,
      epochs=found.epochs,
      images=found.images,
      attacked=found.attacked,
      train_images=found.train_images,
      image_shape=command_line.image_shape(found.image_shape),
      overrides=overrides,
      data_dir=found.data_dir,
    )
    if not choice.take:
      sys.exit(exit_status.FAILED)
    return
  if not found.teacher:
    raise InputError('no --teacher; name a run, an import or a file of weights')
  one_of(found.kind, ('', 'robust', 'clean'), '--kind')
  findings = examine(
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
  if checks.verdict(findings) == 'fail':
    sys.exit(exit_status.FAILED)


def examine(
  teacher: str | pathlib.Path,
  *,
  recipe: str = '',
  student: str | pathlib.Path = '',
  kind: str = '',
  overrides: Sequence[str] = (),
  images: int = 1000,
  attacked: int = 200,
  seconds: float = 60.0,
  image_shape: Sequence[int] = (),
  data_dir: str = '',
) -> list[Finding]:
  """Makes all checks of a teacher, prints them in one table and returns them.

  Args:
    teacher: workdir of a run or an import, or a file of weights.
    recipe: which public teacher a file is.
    student: workdir of a run whose student's adversarial images are tried on the teacher.
    kind: 'robust', or 'clean' for a teacher that need not be; empty asks the recipe, or the
      method that trained it.
    overrides: 'key=value' texts for its config: data, radius, normalisation.
    images: test images for accuracies.
    attacked: how many of them are attacked.
    seconds: about how long it may take on images; fewer are used where the network is
      slow. 0 is no limit.
    image_shape: (H, W, C) of a file's images, where these are not 32 x 32.
    data_dir: where TFDS data lie.

  Raises:
    InputError: no such teacher or data.
  """
  shape = tuple(image_shape)
  examined = admit(expanded(teacher), recipe, list(overrides), shape)
  # Refused before anything is measured.
  trained = student_of(expanded(student), examined) if student else None
  data = experiment.dataset(examined.config, data_dir)
  found = [checks.check_shape(examined.classes, examined.image_shape, data)]
  found.append(checks.check_weights(broken(examined.variables)))
  say(
    f'{teacher}: {examined.node["name"]} on {data.name} {examined.config.evaluation.split}, '
    f'{examined.config.evaluation.threat.name} eps '
    f'{radius(examined.config.evaluation.threat.eps)}'
  )
  if examined.net.note:
    found.append(checks.check_note(examined.net.note))
  kind = kind or examined.kind
  if checks.verdict(found) == 'fail':
    # The rest would measure nothing.
    return _conclude(found, examined, kind)
  examination = Examination(examined, data, images, attacked, seconds)
  found += examination.checks(kind)
  found.append(examination.try_student(trained))
  return _conclude(found, examined, kind)


def _conclude(found: list[Finding], examined: Examined, kind: str) -> list[Finding]:
  say(checks.table(found))
  verdict = checks.verdict(found)
  as_clean = kind == 'clean' and verdict != 'fail'
  say(
    f'teacher: {verdict}'
    + (', as a clean teacher: it cannot teach robustness' if as_clean else '')
  )
  if examined.home is not None and sharding.is_first_process():
    rows = [dataclasses.asdict(finding) for finding in found]
    files.write_json(examined.home / 'doctor.json', rows)
  return found
