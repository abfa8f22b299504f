"""How stored trainings learned each image: trajectories, difficulty, improvement.

Usage: jaxrkd dynamics --runs=AKD=runs/akd --workdir=runs/dynamics
       jaxrkd dynamics --runs=AKD=runs/akd,stopped=runs/akd_es --teacher=runs/at \\
         --difficulty=runs/std --workdir=runs/dynamics

Reads the recordings of runs that were trained with --config.trajectories.splits=test (or
train, heldout), and trains nothing. Writes a page, its figures, a table, and the numbers
of every image.
"""

import pathlib
import shlex

from absl import flags

from jaxrkd import experiment
from jaxrkd.commands import command
from jaxrkd.errors import InputError, one_of
from jaxrkd.experiment import stored_dynamics, study_pages
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.study_recordings import Recordings
from jaxrkd.experiment.tables import RECORDED
from jaxrkd.paths import absolute
from jaxrkd.programs import command_line
from jaxrkd.runtime import files, sharding


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list('runs', [], 'Workdirs of runs, each [NAME=]PATH[:network].')
  flags.DEFINE_string(
    'teacher', '', "Workdir that all are compared with; empty: each run's own teacher."
  )
  flags.DEFINE_string(
    'difficulty', '', 'Workdir that says how hard an image is; empty: the teacher.'
  )
  flags.DEFINE_string('split', 'test', f'Which images: {", ".join(RECORDED)}.')
  flags.DEFINE_boolean('gallery', True, 'Draws the easiest and hardest of each class.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  if overrides:
    raise InputError(f'--config.{overrides[0]}: dynamics takes no config keys')
  found = flags.FLAGS
  workdir = absolute(command_line.required_workdir())
  one_of(found.split, RECORDED, '--split')
  if not found.runs:
    raise InputError('no --runs; name runs that recorded, such as --runs=AKD=runs/akd')
  given = [command_line.named_run(text) for text in found.runs]
  runs = dict(given)
  for name, _ in given:
    if [other for other, _ in given].count(name) > 1:
      raise InputError(f'two of --runs are named {name!r}; write --runs=NAME=PATH,...')
  plan, outcome = stored_dynamics.build(
    {name: pathlib.Path(path) for name, path in runs.items()},
    found.split,
    _folder(found.teacher),
    _folder(found.difficulty),
  )
  if found.gallery:
    run = Recordings(plan.study, outcome).run(plan.study.difficulty, 0)
    names = getattr(
      experiment.dataset(read_config(run), found.data_dir), found.split
    ).names
    named = dict(enumerate(names))
    plan = stored_dynamics.galleries(plan, outcome, found.split, named)
  text = stored_dynamics.per_image(plan.study, outcome, found.split)
  study_pages.leave(plan, outcome, workdir, _command(), found.data_dir)
  if sharding.is_first_process():
    files.write_text(workdir / 'images.csv', text)


def _folder(text: str) -> pathlib.Path | None:
  return pathlib.Path(command_line.home(text)) if text else None


def _command() -> str:
  """The line that does this again."""
  found = flags.FLAGS
  parts = [f'--runs={",".join(found.runs)}', f'--workdir={found.workdir}']
  for name in ('teacher', 'difficulty', 'data_dir'):
    if getattr(found, name):
      parts.append(f'--{name}={getattr(found, name)}')
  if found.plugins:
    parts.append(f'--plugins={",".join(found.plugins)}')
  if found.split != 'test':
    parts.append(f'--split={found.split}')
  if not found.gallery:
    parts.append('--nogallery')
  return f'{command("dynamics")} {shlex.join(parts)}'
