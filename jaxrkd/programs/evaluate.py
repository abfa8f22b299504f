"""Measures a finished run again, with the attacks it was made with or others.

Usage: jaxrkd evaluate --workdir=runs/mtard_digits
       jaxrkd evaluate --workdir=runs/mtard_digits --attacks=autoattack
       jaxrkd evaluate --workdir=runs/mtard_digits \\
         --attacks=pgd_40,square_100,pgd_trades@robust --config.evaluation.threat.eps=4/255
       jaxrkd evaluate --workdir=runs/mtard_digits --attacks=pgd_40 --radii=4/255,16/255

Overrides may change `evaluation`, `seed` and the teachers' `workdir`. Measurements that
were made before with the same settings are read from the run's folder. New settings go to
a file with their name, such as results-autoattack-1f0c2d5e.json; results.json stays as it
is. --epochs=20 measures the checkpoint that was kept after epoch 20. If the program is
killed, run the same command again: it continues. If the run has several seeds
(--config.seeds), all of them are measured.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import measured_words, seeds, train_teachers
from jaxrkd.experiment.columns import with_radii
from jaxrkd.experiment.data_notes import tell
from jaxrkd.experiment.evaluate_run import evaluate_run
from jaxrkd.experiment.load import read_config, seed_folder
from jaxrkd.experiment.result_names import ending
from jaxrkd.paths import absolute
from jaxrkd.programs import command_line, exit_status
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import put, say

STATUS = {'fail': exit_status.FAILED, 'none': exit_status.UNKNOWN}
FREE = ('evaluation', 'seed')


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list(
    'attacks',
    None,
    'Columns in place of those of the run: autoattack, pgd_40, square_100, cw_inf, ...; '
    'with @TEACHER or @WORKDIR images are made on that network (transfer).',
  )
  flags.DEFINE_list(
    'radii',
    [],
    'More radii in which each column is measured, such as 4/255,16/255: a column each.',
  )
  flags.DEFINE_list(
    'epochs',
    [],
    'Epochs whose checkpoints were kept (config.keep_epochs), in place of the best, the '
    'last and the averaged network.',
  )
  flags.DEFINE_boolean(
    'strict', False, 'Exit with status 3 if a trust check fails, 4 if none could be made.'
  )


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  workdir = command_line.required_workdir()
  given = flags.FLAGS.epochs
  if not all(text.isascii() and text.isdigit() and int(text) for text in given):
    raise InputError(f'--epochs is {",".join(given)}; give numbers, such as 20,30')
  found = remeasure(
    workdir,
    overrides,
    flags.FLAGS.data_dir,
    flags.FLAGS.attacks,
    [int(text) for text in given],
    flags.FLAGS.radii,
  )
  status = found.get('trust', {}).get('status', 'none')
  if flags.FLAGS.strict and status in STATUS:
    put(f'trust: {status}', sys.stderr)
    sys.exit(STATUS[status])


def remeasure(
  workdir: str | pathlib.Path,
  overrides: list[str],
  data_dir: str = '',
  attacks: list[str] | None = None,
  epochs: Sequence[int] = (),
  radii: Sequence[str] = (),
) -> dict[str, Any]:
  """Measures student and teachers of a run; returns what it writes.

  The runs of several seeds (`config.seeds`) are measured one after the other.

  Args:
    workdir: the run.
    overrides: 'key=value' texts that change how it is measured.
    data_dir: where TFDS data lie.
    attacks: the columns, by their short names (`experiment.columns`); None keeps the run's.
    epochs: whose checkpoints were kept; measures these, without trust checks, instead of
      the best, the last and the averaged network.
    radii: in which each column is measured besides its own, such as '4/255'.

  Raises:
    InputError: not a run, or an override of something that training has fixed.
  """
  workdir = absolute(workdir)
  old = read_config(workdir)
  for key in (configs.split_override(text)[0] for text in overrides):
    group = key.split('.')[0]
    if group not in FREE and not (group == 'teachers' and key.endswith('.workdir')):
      raise InputError(
        f'config.{key} belongs to training, which is done; evaluation can change '
        f'{", ".join(FREE)} and teachers.NAME.workdir'
      )
    if group == 'seed' and old.get('seeds'):
      raise InputError(
        f'{str(workdir)!r} holds the runs of {len(old.seeds)} seeds, each of which is '
        f'measured with its own; name one of them, such as '
        f'{str(seed_folder(workdir, old.seeds[0]))!r}, to change config.seed'
      )
  config, name = _changed(workdir, old, overrides, attacks, radii)
  mesh = sharding.data_mesh()
  data = experiment.dataset(config, data_dir)
  tell(data)
  kept = '-epochs' + '+'.join(map(str, epochs)) if epochs else ''
  path = workdir / f'results{name}{kept}.json'

  def measure(
    config: ConfigDict, place: pathlib.Path, name: str, title: str
  ) -> dict[str, Any]:
    # Those that are missing are trained, as in the run itself.
    train_teachers(config, place, data, data_dir, mesh)
    own = place / f'results{name}{kept}.json'
    found = evaluate_run(
      config,
      place,
      data,
      mesh,
      own,
      f'eval{name}',
      title,
      checks=not epochs,
      versions=[f'epoch {epoch}' for epoch in epochs],
    )
    say(f'written to {own}')
    return found

  if not old.get('seeds'):
    return measure(config, workdir, name, 'student')
  folders = {str(seed): seed_folder(workdir, seed) for seed in old.seeds}
  found = {}
  for seed, place in folders.items():
    given = _changed(place, read_config(place), overrides, attacks, radii)
    found[seed] = measure(given[0], place, given[1], f'student, seed {seed}')
  heads = measured_words.heads(given[0].evaluation)
  whole = seeds.in_common(found, folders, path, heads)
  say(f'written to {path}')
  return whole


def _changed(
  workdir: pathlib.Path,
  old: ConfigDict,
  overrides: list[str],
  attacks: list[str] | None,
  radii: Sequence[str],
) -> tuple[ConfigDict, str]:
  """How to measure, and what the names of its files end in."""
  given = ConfigDict(old.to_dict())
  if attacks is not None:
    # Steps follow the radius, which an override may have changed.
    first = [text for text in overrides if 'evaluation.attacks.' not in text]
    given.evaluation.attacks = experiment.columns(
      attacks, experiment.resolve(old, first, past=True)
    )
  if radii:
    own = given.evaluation.attacks.to_dict()
    given.evaluation.attacks = with_radii(own, radii)
  config = experiment.resolve(given, overrides, past=True)
  return config, ending(config, experiment.resolve(old, past=True), workdir)
