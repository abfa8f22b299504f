"""Examines a teacher: is it the one it should be, and is it used as it was trained?

Usage: jaxrkd doctor --teacher=runs/trades
       jaxrkd doctor --teacher=model_cifar_wrn.pt --recipe=trades_wrn_34_10
       jaxrkd doctor --teacher=runs/mtard/teachers/robust --student=runs/mtard
       jaxrkd doctor --teacher=mine.pth --config.student.normalisation=cifar10 \\
         --config.evaluation.threat.eps=4/255

Classes and images, weights, input range and normalisation, clean and PGD-20 accuracy against
what is known of it, entropy and calibration of its predictions, and how often the student's
adversarial images fool it: pass, warn or fail in one table. The exit status is 3 where a
check fails. A run keeps the table in doctor.json.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate import teacher_checks as checks
from jaxrkd.evaluate.teacher_checks import Finding
from jaxrkd.experiment.import_network import read_unwritten
from jaxrkd.experiment.load import IMPORTED, Trained, is_imported, load_trained
from jaxrkd.interop import RECIPES
from jaxrkd.models.named import named_network
from jaxrkd.paths import expanded
from jaxrkd.programs import command_line, exit_status
from jaxrkd.programs.examination import Examination, Examined
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say


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


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  if not found.teacher:
    raise InputError('no --teacher; name a run, an import or a file of weights')
  one_of(found.kind, ('', 'robust', 'clean'), '--kind')
  for name in ('images', 'attacked', 'seconds'):
    if getattr(found, name) < 0:
      raise InputError(f'--{name} is {getattr(found, name)}; it must be 0 or more')
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
  examined = _admit(expanded(teacher), recipe, list(overrides), shape)
  # Refused before anything is measured.
  trained = _student_of(expanded(student), examined) if student else None
  data = experiment.dataset(examined.config, data_dir)
  found = [checks.check_shape(examined.classes, examined.image_shape, data)]
  found.append(checks.check_weights(_broken(examined.variables)))
  say(
    f'{teacher}: {examined.node["name"]} on {data.name} {examined.config.evaluation.split}, '
    f'{examined.config.evaluation.threat.name} eps '
    f'{examined.config.evaluation.threat.eps:.4g}'
  )
  kind = kind or examined.kind
  if checks.verdict(found) == 'fail':
    # The rest would measure nothing.
    return _conclude(found, examined, kind)
  examination = Examination(examined, data, images, attacked, seconds)
  found += examination.checks(kind)
  found.append(examination.try_student(trained))
  return _conclude(found, examined, kind)


def _student_of(path: pathlib.Path, examined: Examined) -> Trained:
  """The student whose adversarial images are tried; its classes must be the teacher's."""
  found = load_trained(path, 'best', sharding.data_mesh(), 'float32')
  shape, classes = found.record.image_shape, found.record.classes
  if (shape, classes) != (tuple(examined.image_shape), examined.classes):
    raise InputError(
      f'the student in {str(path)!r} knows {classes} classes of images {list(shape)}, and '
      f'the teacher {examined.classes} of {list(examined.image_shape)}; name a student of '
      'the same data'
    )
  return found


def _admit(
  path: pathlib.Path, recipe: str, overrides: list[str], shape: tuple[int, ...]
) -> Examined:
  if not path.is_dir():
    read, config = read_unwritten(path, overrides, recipe=recipe, image_shape=shape)
    kind = RECIPES[recipe].kind if recipe else 'robust'
    own = read.net, read.variables, config, read.node, read.classes, read.image_shape
    return Examined(*own, None, kind)
  if recipe:
    raise InputError(
      f'recipe {recipe!r} is for a file of weights, but {str(path)!r} is a folder; leave it '
      'out'
    )
  mesh = sharding.data_mesh()
  found = load_trained(path, 'best', mesh, 'float32')
  if found.networks is None:
    raise InputError(
      f'{str(path)!r} is an ensemble of {found.config.members} runs; examine one of them, '
      f'such as {str(path / "members" / "0")!r}'
    )
  given = ConfigDict(found.config.to_dict())
  config = experiment.resolve(given, overrides)
  node, shape = config.student.to_dict(), found.record.image_shape
  net = named_network(node, found.record.classes, shape)
  variables = (found.state.params, found.state.stats)
  facts = found.record.classes, shape
  return Examined(net, variables, config, node, *facts, path, _kind(path, config))


def _kind(path: pathlib.Path, config: ConfigDict) -> str:
  if is_imported(path):
    recipe = json.loads((path / IMPORTED).read_text(encoding='utf-8'))['recipe']
    return RECIPES[recipe].kind if recipe in RECIPES else 'robust'
  return 'clean' if config.method.name == 'natural' else 'robust'


def _broken(variables: Any) -> str:
  """The name of a weight that is no number; empty if all are."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    if not bool(jnp.isfinite(leaf).all()):
      return '/'.join(str(getattr(part, 'key', '')) for part in path[1:])
  return ''


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
