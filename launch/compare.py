"""Trains several experiments with several seeds and the same teachers, in one table.

Usage: python launch/compare.py --workdir=runs/digits --seeds=0,1,2 \\
         --configs=configs/sat.py:digits,configs/rslad.py:digits
       python launch/compare.py --workdir=runs/digits --seeds=0,1,2 --words=digits
       python launch/compare.py --workdir=runs/aka --seeds=0,1,2 \\
         --study=configs/studies/aka_digits.py

`--words=digits` takes every method, with these words as the config's argument; `--study`
the rows of a table of a paper (`configs/studies/`). Teachers
with the same config and seed are trained once. Run again, it continues where it was;
`--config.key=value` overrides a key of all experiments.
"""

import pathlib

import command_line
from absl import flags

from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.methods import METHODS
from jaxrkd.programs import compare
from jaxrkd.runtime.progress import say

CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'

flags.DEFINE_list('configs', [], 'Config files, each optionally with :word.')
flags.DEFINE_string('words', '', 'Take every method with this argument, e.g. digits.')
flags.DEFINE_string('study', '', 'Python file with ROWS = {name of a row: config:words}.')
flags.DEFINE_list('seeds', ['0'], 'Seeds of the students and their teachers.')


def main(overrides: list[str]) -> None:
  found = flags.FLAGS
  workdir = command_line.required_workdir()
  if not all(seed.isdigit() for seed in found.seeds):
    raise InputError(f'--seeds is {",".join(found.seeds)}; give integers, such as 0,1,2')
  if sum(map(bool, (found.words, found.configs, found.study))) != 1:
    raise InputError('give one of --configs, --words and --study, such as --words=digits')
  if len(set(found.seeds)) < len(found.seeds):
    raise InputError(f'--seeds is {",".join(found.seeds)}; give each seed once')
  given = command_line.specs(found.configs)
  specs = {command_line.spec_name(spec): spec for spec in given}
  if len(specs) < len(given):
    raise InputError('two of --configs have the same name; name each experiment once')
  if found.study:
    specs = configs.load_rows(found.study)
  if found.words:
    files = {name: CONFIGS / f'{name}.py' for name in METHODS}
    specs = _with_words(files, found.words)
  seeds = [int(seed) for seed in found.seeds]
  compare.compare(specs, seeds, workdir, overrides, found.data_dir)


def _with_words(files: dict[str, pathlib.Path], words: str) -> dict[str, str]:
  """Every config that takes the words; the others are named."""
  specs, refused = {}, {}
  for name, path in files.items():
    if not path.is_file():
      continue
    try:
      configs.load(path, words)
      specs[name] = f'{path}:{words}'
    except InputError as error:
      refused[name] = error
  if not specs:
    raise next(iter(refused.values()))
  for name, error in refused.items():
    say(f'{name} is left out: {error}')
  return specs


if __name__ == '__main__':
  command_line.start(main, __doc__)
