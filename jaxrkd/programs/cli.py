"""The command `jaxrkd`: its first argument says which program."""

# First: before anything opens a file.
from jaxrkd.programs import open_streams  # noqa: F401  # isort: skip

import sys

import jaxrkd

# Program -> what it does, as the first line of its file says.
PROGRAMS = {
  'train': 'Trains what a config describes, teachers first, and reports how robust it is.',
  'evaluate': 'Measures a finished run again, with the attacks it was made with or others.',
  'compare': 'Trains several experiments with several seeds and the same teachers, in one table.',
  'study': 'A table or figure of a paper: trains its rows, and puts it beside the measurement.',
  'dynamics': 'How stored trainings learned each image: trajectories, difficulty, improvement.',
  'report': 'Makes the page of a run anew from its files, or one that compares a folder of runs.',
  'convert': "Converts PyTorch (or DeepMind's JAX) weights to a run, and a run to PyTorch weights.",
  'doctor': 'Examines a teacher: is it the one it should be, and is it used as it was trained?',
  'export': 'Writes one trained network of a run to files that other run times read.',
  'corruptions': 'Accuracy of a run under the corruptions of CIFAR-10-C, and its mean error.',
  'push': "Publishes a run's student with its robustness: to a folder or the Hugging Face hub.",
  'pull': 'Makes a run of a published student, to measure it, to export it, or to learn from it.',
  'gallery': 'Draws the first test images of a run under every attack, or some.',
  'diversity': 'SVGD against PGD: how different and how strong their adversarial images are.',
}


def main() -> None:
  """Starts the program that the command line names."""
  # Imported late: `jaxrkd --version` needs no jax.
  name, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ('', [])
  if name == 'help' and rest[:1] and rest[0] in PROGRAMS:
    name, rest = rest[0], ['--help']
  if name == '--version':
    print(jaxrkd.__version__)
  elif name in ('', 'help', '-h', '--help'):
    print(_help())
  elif name in PROGRAMS:
    from jaxrkd.programs.command_line import start

    sys.argv[1:] = rest
    start(name)
  else:
    from jaxrkd.errors import nearest

    print(
      f'error: unknown program {name!r}{nearest(name, PROGRAMS)} '
      f'(known: {", ".join(PROGRAMS)})',
      file=sys.stderr,
    )
    sys.exit(2)


def _help() -> str:
  width = max(map(len, PROGRAMS))
  rows = '\n'.join(f'  {name:{width}}  {what}' for name, what in PROGRAMS.items())
  return (
    'Usage: jaxrkd PROGRAM --FLAG=VALUE ...\n\n'
    f'{rows}\n\n'
    'jaxrkd PROGRAM --help lists the flags of a program; jaxrkd --version says the version.'
  )
