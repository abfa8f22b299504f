"""Draws the first test images of a run under every attack, or some.

Usage: python launch/gallery.py --workdir=runs/mtard_digits
       python launch/gallery.py --workdir=runs/sat --attacks=fog,snow,gabor --images=10

The picture is `gallery.png` in the run's workdir; wrong images have a red frame. Attacks of
the run's evaluation have its settings, all others their defaults, with its eps.
"""

import pathlib

import command_line
from absl import flags

from jaxrkd.errors import InputError
from jaxrkd.programs import gallery

flags.DEFINE_list('attacks', [], 'Names of attacks; all if empty.')
flags.DEFINE_string('network', '', 'One of several networks; empty takes the student.')
flags.DEFINE_integer('images', 8, 'Test images to draw.')


def main(overrides: list[str]) -> None:
  if overrides:
    raise InputError(f'--config.{overrides[0]}: a gallery takes no config keys')
  found = flags.FLAGS
  workdir = pathlib.Path(command_line.required_workdir())
  gallery.gallery(
    workdir,
    workdir / 'gallery.png',
    names=found.attacks,
    images=found.images,
    network=found.network,
    data_dir=found.data_dir,
  )


if __name__ == '__main__':
  command_line.start(main, __doc__)
