"""Several seeds of one experiment, trained at once in one program."""

import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxrkd.evaluate import results
from jaxrkd.evaluate.trust_limits import worst
from jaxrkd.experiment import measured_words
from jaxrkd.experiment.claim import claim
from jaxrkd.experiment.load import seed_folder, teacher_folder
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

Run = tuple[ConfigDict, pathlib.Path]


def configs_of(config: ConfigDict, workdir: pathlib.Path) -> list[Run]:
  """The run of every seed: its config, with the teachers of all, and its workdir."""
  runs = []
  for seed in config.seeds:
    own = ConfigDict(config.to_dict())
    own.seeds, own.seed = (), seed
    for name, entry in own.teachers.items():
      entry.workdir = str(teacher_folder(config, workdir, name))
      entry.file = entry.recipe = ''
    folder = seed_folder(workdir, seed)
    claim(folder, own.lock())
    runs.append((own, folder))
  return runs


def finish(
  runs: Sequence[Run],
  data_dir: str,
  path: pathlib.Path,
  title: str,
  alone: bool,
  measure: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
  """Measures every run, and writes and prints what all have in common.

  Args:
    runs: see `configs_of`, trained.
    data_dir: where TFDS data lie.
    path: of results.json for all.
    title: of each run, before its seed.
    alone: see `train_and_evaluate`.
    measure: `train_and_evaluate`.
  """
  found = {
    str(config.seed): measure(
      config, folder, data_dir, f'{title}, seed {config.seed}', alone=alone
    )
    for config, folder in runs
  }
  folders = {str(config.seed): folder for config, folder in runs}
  heads = measured_words.heads(runs[0][0].evaluation)
  return in_common(found, folders, path, heads)


def in_common(
  found: Mapping[str, Mapping[str, Any]],
  folders: Mapping[str, pathlib.Path],
  path: pathlib.Path,
  heads: Mapping[str, str] | None = None,
) -> dict[str, Any]:
  """Writes and prints the mean and standard deviation of runs.

  Args:
    found: results of each, by seed.
    folders: their workdirs, by seed.
    path: of the file to write.
    heads: see `results.table`.
  """
  whole: dict[str, Any] = {
    'seeds': {seed: str(folder) for seed, folder in folders.items()},
    'student': {
      version: _spread([row['student'][version] for row in found.values()])
      for version in _versions(next(iter(found.values())))
    },
    'finished': True,
    'heads': dict(heads or {}),
    'notes': list(dict.fromkeys(n for row in found.values() for n in results.notes(row))),
  }
  checked = [row['trust']['status'] for row in found.values() if 'trust' in row]
  if checked:
    whole['trust'] = {'status': worst(checked)}
  if sharding.is_first_process():
    files.write_json(path, whole)
  say(f'\nmean and standard deviation of {len(found)} seeds\n{table(whole)}')
  return whole


def _versions(found: Mapping[str, Any]) -> list[str]:
  return list(found.get('student') or {})


# Of a row of results.json: what is a number for each run.
def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
  attacks = {
    f'{name}/{key}': part[key]
    for name, part in row['attacks'].items()
    for key in ('robust', 'weighted')
  }
  return {'clean': row['clean'], 'worst_case': row['worst_case'], **attacks}


def _spread(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
  """'mean' and 'sd' of rows, each shaped as a row of results.json."""
  numbers = [_numbers(row) for row in rows]

  def shaped(of: Callable[[list[float]], float]) -> dict[str, Any]:
    values = {key: of([row[key] for row in numbers]) for key in numbers[0]}
    attacks: dict[str, dict[str, float]] = {}
    for key, value in values.items():
      name, slash, kind = key.partition('/')
      if slash:
        attacks.setdefault(name, {})[kind] = value
    whole = {key: values[key] for key in ('clean', 'worst_case')}
    return {**whole, 'attacks': attacks}

  deviation = lambda values: statistics.stdev(values) if len(values) > 1 else 0.0
  return {'mean': shaped(statistics.fmean), 'sd': shaped(deviation)}


def table(whole: Mapping[str, Any]) -> str:
  """What `in_common` prints, out of results.json."""
  rows = {
    f'{version} {kind}': row
    for version, parts in whole['student'].items()
    for kind, row in parts.items()
  }
  # Files of before have none.
  told = (f'\nnote: {note}' for note in whole.get('notes', ()))
  return results.table(rows, whole.get('heads')) + ''.join(told)
