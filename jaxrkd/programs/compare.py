"""Trains several experiments with several seeds and the same teachers, in one table.

Usage: jaxrkd compare --workdir=runs/digits --seeds=0,1,2 \\
         --configs=sat:digits,rslad:digits
       jaxrkd compare --workdir=runs/digits --seeds=0,1,2 --words=digits
       jaxrkd compare --workdir=runs/aka --seeds=0,1,2 \\
         --study=aka_digits

`--words=digits` takes every method, with these words as the config's argument. `--study`
takes the rows of a table of a paper (a name, or a Python file). Teachers with the same
config and seed are trained once. If you run the same command again, it continues where it
stopped. `--config.key=value` overrides a key of all experiments.
"""

import json
import pathlib
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.evaluate import results
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import train_and_evaluate
from jaxrkd.experiment.departures import departures
from jaxrkd.experiment.load import is_imported
from jaxrkd.experiment.study import CHECKPOINTS
from jaxrkd.experiment.study_table import seconds_per_epoch
from jaxrkd.methods import METHODS
from jaxrkd.paths import expanded
from jaxrkd.programs import command_line
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

# Columns for methods that train networks on particles: title, key, factor.
PARTICLES = (
  ('particles: Linf, of 255', 'linf', 1),
  ('L2, of 255', 'l2', 255),
  ('CE', 'ce_mean', 1),
)


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list('configs', [], 'Config files, each optionally with :word.')
  flags.DEFINE_string('words', '', 'Take every method with this argument, e.g. digits.')
  flags.DEFINE_string(
    'study', '', 'Name of a table, or Python file with ROWS = {name: config:words}.'
  )
  flags.DEFINE_list('seeds', ['0'], 'Seeds of the students and their teachers.')
  flags.DEFINE_enum(
    'checkpoint', 'best', CHECKPOINTS, 'Which checkpoint of the students the table shows.'
  )


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  workdir = command_line.required_workdir()
  if not all(seed.isascii() and seed.isdigit() for seed in found.seeds):
    raise InputError(
      f'--seeds is {",".join(found.seeds)}; give whole numbers from 0, such as 0,1,2'
    )
  if sum(map(bool, (found.words, found.configs, found.study))) != 1:
    raise InputError('give one of --configs, --words and --study, such as --words=digits')
  if len(set(found.seeds)) < len(found.seeds):
    raise InputError(f'--seeds is {",".join(found.seeds)}; give each seed once')
  given = command_line.specs(found.configs)
  specs = {command_line.spec_name(spec): spec for spec in given}
  if len(specs) < len(given):
    raise InputError('two of --configs have the same name; name each experiment once')
  if found.study:
    specs = configs.load_rows(configs.place(found.study, 'studies'))
  if found.words:
    files = {name: configs.SHIPPED / f'{name}.py' for name in METHODS}
    specs = _with_words(files, found.words)
  seeds = [int(seed) for seed in found.seeds]
  compare(specs, seeds, workdir, overrides, found.data_dir, found.checkpoint)


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
  for name, reason in refused.items():
    say(f'{name} is left out: {reason}')
  return specs


def compare(
  specs: Mapping[str, str],
  seeds: Sequence[int],
  workdir: str | pathlib.Path,
  overrides: Sequence[str] = (),
  data_dir: str = '',
  checkpoint: str = 'best',
) -> str:
  """Trains whatever is not trained yet; returns the table as Markdown.

  Teachers with one config and seed are trained once and shared. The table, and its rows
  with every seed's numbers, go to `table.md` and `table.json` in the workdir.

  Args:
    specs: name of a row -> config file, optionally with ':argument'.
    seeds: of the students; each has teachers of its own seed.
    workdir: folder for all runs; run again, it continues.
    overrides: 'key=value' texts for every experiment.
    data_dir: where TFDS data lie.
    checkpoint: of the students: 'best', 'last' or 'ema'.

  Raises:
    InputError: nothing to compare, or an experiment is refused.
  """
  if not specs or not seeds:
    raise InputError('nothing to compare; name at least one config and one seed')
  workdir = expanded(workdir).resolve()
  # Every config is resolved first, so that a mistake in the last costs no training.
  planned = {
    (name, seed): _planned(spec, seed, overrides)
    for seed in seeds
    for name, spec in specs.items()
  }
  _check_comparable(planned)
  if checkpoint == 'ema':
    _check_averaged(planned)
  _keep_for_all([config.teachers for config in planned.values()])
  found: dict[str, list[dict[str, Any]]] = {}
  trained: set[pathlib.Path] = set()
  for (name, seed), config in planned.items():
    for role, entry in config.teachers.items():
      # A file is read by the run that learns from it.
      if entry.workdir or entry.file:
        continue
      mark = fingerprint(departures(json.loads(entry.config.to_json())))[:8]
      # Whatever role it plays in other rows.
      there = (known for known in (workdir / 'teachers').glob(f'*-{mark}'))
      place = next(there, workdir / 'teachers' / f'{role}-{mark}')
      if place not in trained:
        title = f'teacher {role}, seed {seed}'
        train_and_evaluate(entry.config, place, data_dir, title, alone=False)
        trained.add(place)
      entry.workdir = str(place)
    place = workdir / _folder(name) / f'seed{seed}'
    results = train_and_evaluate(
      config.lock(), place, data_dir, f'{name}, seed {seed}', alone=False
    )
    for role, row in results['teachers'].items():
      home = pathlib.Path(row['workdir'])
      _add(found, f'teacher {role} ({_origin(home, row)})', seed, row, home)
    shown = {'particles': results['particles']} if 'particles' in results else {}
    _add(found, name, seed, {**results['student'][checkpoint], **shown}, place)
    for student, versions in results.get('students', {}).items():
      _add(found, f'{name} {student}', seed, versions[checkpoint], place)
  table = markdown(found)
  if sharding.is_first_process():
    files.write_json(workdir / 'table.json', found)
    files.write_text(workdir / 'table.md', table + '\n')
  say(f'\n{table}\n\nwritten to {workdir / "table.md"}')
  return table


def _origin(home: pathlib.Path, row: Mapping[str, Any]) -> str:
  """How a teacher was trained, and when it was taken: 'sat, epoch 20'."""
  if is_imported(home):
    return 'from a file'
  config = json.loads((home / 'config.json').read_text(encoding='utf-8'))
  taken = row['checkpoint']
  early = f', {taken}' if taken.startswith('epoch ') else ''
  return config['method']['name'] + early


def _planned(spec: str, seed: int, overrides: Sequence[str]) -> ConfigDict:
  given = configs.load_spec(spec)
  own = [entry.config for entry in given.teachers.values() if entry.config]
  # Seeds of one ensemble follow each other; those of the next come after them.
  if given.get('seeds') or any(text.startswith('seeds=') for text in overrides):
    raise InputError(
      f'{spec!r} has config.seeds, but a comparison gives each run its own; leave it out and '
      'name the seeds with --seeds'
    )
  given.seed = seed * given.members
  stride = 1 + max((config.seed for config in own), default=0)
  for config in own:
    config.seed += seed * stride
  # Unlocked, because teachers get the place where they were trained.
  return ConfigDict(experiment.resolve(given, list(overrides)).to_dict())


def _folder(name: str) -> str:
  """A folder for a row, whose name may have brackets and spaces."""
  return re.sub(r'[^\w.+-]+', '-', name).strip('-')


def _check_comparable(planned: Mapping[tuple[str, int], ConfigDict]) -> None:
  """Raises `InputError` unless all are measured alike and each seed is its own."""
  (first, _), wanted = next(iter(planned.items()))
  folders: dict[str, str] = {}
  for name, _ in planned:
    other = folders.setdefault(_folder(name), name)
    if other != name:
      raise InputError(
        f'{other!r} and {name!r} would share the folder {_folder(name)!r}; rename a row'
      )
  seeds: dict[str, set[int]] = {}
  for (name, _), config in planned.items():
    changed = configs.differences(
      wanted.evaluation.to_dict(), config.evaluation.to_dict()
    )
    if changed:
      raise InputError(
        f'{first!r} and {name!r} are measured differently (evaluation.{changed[0]}); give '
        'all experiments one evaluation'
      )
    if config.seed in seeds.setdefault(name, set()):
      raise InputError(
        f'{name!r} has seed {config.seed} twice; give different --seeds, and no '
        '--config.seed'
      )
    seeds[name].add(config.seed)


def _check_averaged(planned: Mapping[tuple[str, int], ConfigDict]) -> None:
  """Raises `InputError` unless all rows average their weights."""
  for (name, _), config in planned.items():
    if not config.ema.decay:
      raise InputError(
        f'--checkpoint is ema, but {name!r} averages no weights; give it '
        '--config.ema.decay=0.995, or choose best or last'
      )


def _keep_for_all(groups: Sequence[ConfigDict]) -> None:
  """Has one training of a teacher keep every epoch that any row takes it from."""
  same: dict[str, list[ConfigDict]] = {}
  for entry in (entry for teachers in groups for entry in teachers.values()):
    if entry.config:
      told = json.loads(entry.config.to_json())
      told.pop('keep_epochs')
      same.setdefault(fingerprint(told), []).append(entry.config)
  for configs_of_one in same.values():
    kept = dict.fromkeys(k for config in configs_of_one for k in config.keep_epochs)
    for config in configs_of_one:
      config.keep_epochs = tuple(kept)


def _add(
  found: dict[str, list[dict[str, Any]]],
  name: str,
  seed: int,
  row: Mapping[str, Any],
  place: pathlib.Path,
) -> None:
  made = {'seed': seed, **row, 'place': str(place)}
  rows = found.setdefault(name, [])
  same = [other for other in rows if other['seed'] == seed]
  if any(other['place'] != str(place) for other in same):
    # Another teacher of this name and training, of other settings.
    _add(found, f'{name} {place.name}', seed, row, place)
  elif not same:
    rows.append({**made, 'seconds_per_epoch': seconds_per_epoch(place)})


def markdown(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
  """Mean and standard deviation over seeds in percent, teachers first.

  W is the mean of clean and robust accuracy, for every attack.

  Where networks were trained on particles: the mean distance between two particles of an
  image, in 8-bit levels, and their mean cross-entropy.

  Args:
    found: name -> one row per seed, as `table.json` has them.
  """
  attacks = list(next(iter(found.values()))[0]['attacks'])
  particles = any('particles' in row for rows in found.values() for row in rows)
  head = ['', 'clean', *attacks, *(f'W {name}' for name in attacks), 's/epoch']
  head += [title for title, _, _ in PARTICLES] if particles else []
  lines = [head, ['---'] * len(head)]
  teachers = sorted(name for name in found if name.startswith('teacher '))
  for name in [*teachers, *(name for name in found if name not in teachers)]:
    rows = found[name]
    columns = [[row['clean'] for row in rows]]
    columns += [[row['attacks'][a]['weighted'] for row in rows] for a in attacks]
    doubtful = [any(results.star(row['attacks'][a]) for row in rows) for a in attacks]
    robust = [[row['attacks'][a]['robust'] for row in rows] for a in attacks]
    times = [row['seconds_per_epoch'] for row in rows if row['seconds_per_epoch']]
    speed = f'{statistics.median(times):.2f}' if times else 'unknown'
    clean, *weighted = map(_spread, columns)
    marked = [_spread(r) + '\\*' * bool(star) for r, star in zip(robust, doubtful)]
    lines.append([name, clean, *marked, *weighted, speed])
    for _, key, scale in PARTICLES if particles else ():
      values = [scale * row['particles'][key] for row in rows if 'particles' in row]
      lines[-1].append(f'{statistics.fmean(values):.3g}' if values else '')
  table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
  return '\n\n'.join([table, *_notes(found, attacks)])


def _notes(
  found: Mapping[str, Sequence[Mapping[str, Any]]], attacks: Sequence[str]
) -> list[str]:
  """What stars mean, and what networks say of themselves."""
  every = [(name, row) for name, rows in found.items() for row in rows]
  notes = [
    f'\\* {name}, {a}, seed {row["seed"]}: {results.why(row["attacks"][a])}'
    for name, row in every
    for a in attacks
    if results.star(row['attacks'][a])
  ]
  return notes + results.of_networks(every)


def _spread(values: Sequence[float]) -> str:
  mean = f'{100 * statistics.fmean(values):.2f}'
  if len(values) == 1:
    return mean
  return f'{mean} ± {100 * statistics.stdev(values):.2f}'
