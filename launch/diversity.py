"""SVGD against PGD: how different and how strong the adversarial images of an image are.

Usage: python launch/diversity.py --workdir=runs/table1 \\
         --configs=configs/natural.py:digits,configs/sat.py:digits
       python launch/diversity.py --workdir=runs/table1 --runs=robust=runs/sat

AT-AKA's Table 1 for networks of finished runs, or of configs, which are trained first.
Writes the table and pictures of the particles, in the plane and on a real image.
"""

import pathlib

import command_line
from absl import flags

from jaxrkd.errors import InputError
from jaxrkd.programs import diversity

flags.DEFINE_list('configs', [], 'Config files, each optionally with :word.')
flags.DEFINE_list('runs', [], 'Workdirs of finished runs, each [NAME=]PATH[:network].')
flags.DEFINE_integer('images', 100, 'Test images to average over.')
flags.DEFINE_integer('particles', 10, 'Adversarial images of each image.')
flags.DEFINE_integer('ddof', 0, 'Of the standard deviation: 0, or 1 for a sample.')
flags.DEFINE_integer('picture', 0, 'Which of the images to draw.')


def main(overrides: list[str]) -> None:
  found = flags.FLAGS
  workdir = command_line.required_workdir()
  given = [
    *((command_line.spec_name(spec), spec) for spec in command_line.specs(found.configs)),
    *map(_named_run, found.runs),
  ]
  named = dict(given)
  if len(named) < len(given):
    raise InputError(
      'two of --configs and --runs have the same name; write --runs=NAME=PATH,...'
    )
  diversity.table1(
    named,
    workdir,
    images=found.images,
    count=found.particles,
    picture=found.picture,
    ddof=found.ddof,
    overrides=overrides,
    data_dir=found.data_dir,
  )


def _named_run(text: str) -> tuple[str, str]:
  name, _, path = text.rpartition('=')
  path = command_line.home(path)
  if not pathlib.Path(path.partition(':')[0]).is_dir():
    raise InputError(f'--runs names {path!r}, which is no folder; name finished runs')
  return name or pathlib.Path(path).name.replace(':', '-'), path


if __name__ == '__main__':
  command_line.start(main, __doc__)
