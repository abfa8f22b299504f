"""A table or figure of a paper: trains its rows, and puts it beside the measurement.

Usage: jaxrkd study --list
       jaxrkd study --name=mtard_table2 --workdir=runs/studies
       jaxrkd study --name=mtard_table2 --workdir=runs/studies --scale=small --seeds=0,1,2

All studies in one folder share their runs; `--name=all` does all. `--scale=small` takes
small networks and a part of CIFAR-10, `--scale=smoke` only shows that every stage works.
If the program is killed or interrupted, run the same command again: it continues.
`--config.key=value` overrides a key of every row.
"""

import shlex

from absl import flags

from jaxrkd.commands import command
from jaxrkd.errors import InputError
from jaxrkd.experiment import study_pages
from jaxrkd.experiment.scale import SCALES
from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.experiment.study_plan import plan
from jaxrkd.experiment.study_run import do
from jaxrkd.programs import command_line
from jaxrkd.programs.study_dry_run import describe, listing
from jaxrkd.runtime.progress import say


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list(
    'name', [], 'The study, or several: those that --list names, Python files, or all.'
  )
  flags.DEFINE_string('scale', 'paper', f'Its size: {", ".join(SCALES)}.')
  flags.DEFINE_list('seeds', None, "Seeds in place of the study's own.")
  flags.DEFINE_multi_string(
    'only', [], 'Rows whose name has this text in it; may be given several times.'
  )
  flags.DEFINE_list(
    'files',
    [],
    'RECIPE=FILE: public teachers that come from files instead of being trained.',
  )
  flags.DEFINE_boolean('list', False, 'Says what each study is and what it costs.')
  flags.DEFINE_boolean('dry_run', False, 'Says what would be done, and does nothing.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  if found.list:
    say(listing())
    return
  if not found.name:
    raise InputError(
      'no --name; name a study, such as mtard_table2, or a file of your own; --list says which '
      'there are'
    )
  seeds = None
  if found.seeds is not None:
    if not found.seeds or not all(
      seed.isascii() and seed.isdigit() for seed in found.seeds
    ):
      raise InputError(
        f'--seeds is {",".join(found.seeds)}; give whole numbers from 0, such as 0,1,2'
      )
    seeds = [int(seed) for seed in found.seeds]
  files = {}
  for text in found.files:
    recipe, equals, path = text.partition('=')
    if not equals:
      raise InputError(f'--files has {text!r}; give RECIPE=FILE')
    files[recipe] = command_line.home(path)
  chosen = names() if found.name == ['all'] else found.name
  only = [text for text in found.only if text]
  # All are planned first, so that a mistake in the last costs no training.
  plans = {
    name: plan(load_study(name), found.scale, seeds, overrides, files, only=only)
    for name in chosen
  }
  if found.dry_run:
    for made in plans.values():
      describe(made, found.data_dir)
    return
  workdir = command_line.required_workdir()
  failed: dict[str, str] = {}
  for name, made in plans.items():
    outcome = do(made, workdir, found.data_dir)
    again = _command(name, overrides)
    study_pages.write(
      name, found.scale, made, outcome, workdir, again, found.data_dir, only
    )
    failed |= {f'{name}, {row}': why for row, why in outcome.failed.items()}
  if failed:
    first, why = next(iter(failed.items()))
    raise InputError(
      f'{len(failed)} rows failed, and all other rows are done; the first that failed is '
      f'{first}: {why}'
    )


def _command(name: str, overrides: list[str]) -> str:
  """The line that does this again."""
  found = flags.FLAGS
  parts = [f'--name={name}', f'--workdir={found.workdir}', f'--scale={found.scale}']
  if found.seeds is not None:
    parts.append(f'--seeds={",".join(found.seeds)}')
  parts += [f'--only={text}' for text in found.only]
  if found.files:
    parts.append(f'--files={",".join(found.files)}')
  if found.plugins:
    parts.append(f'--plugins={",".join(found.plugins)}')
  if found.data_dir:
    parts.append(f'--data_dir={found.data_dir}')
  parts += [f'--config.{text}' for text in overrides]
  return f'{command("study")} {shlex.join(parts)}'
