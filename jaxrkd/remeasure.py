"""Evaluating a run that exists, with its own settings or others."""

import pathlib
from typing import Any

from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd.errors import InputError
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.run import train_teachers
from jaxrkd.run.results import evaluate_run
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.load import read_config

FREE = ('evaluation', 'seed')


def remeasure(
  workdir: str | pathlib.Path,
  overrides: list[str],
  data_dir: str = '',
  attacks: list[str] | None = None,
) -> dict[str, Any]:
  """Measures student and teachers of a run; returns what it writes.

  Args:
    workdir: the run.
    overrides: 'key=value' texts that change how it is measured.
    data_dir: where TFDS data lie.
    attacks: the columns, by their short names (`build.columns`); None keeps the run's.

  Raises:
    InputError: not a run, or an override of something that training has fixed.
  """
  workdir = pathlib.Path(workdir)
  old = read_config(workdir)
  for key in (configs.split_override(text)[0] for text in overrides):
    group = key.split('.')[0]
    if group not in FREE and not (group == 'teachers' and key.endswith('.workdir')):
      raise InputError(
        f'config.{key} belongs to training, which is done; evaluation can change '
        f'{", ".join(FREE)}'
      )
  given = ConfigDict(old.to_dict())
  if attacks is not None:
    # Steps follow the radius, which an override may have changed.
    first = [text for text in overrides if 'evaluation.attacks.' not in text]
    given.evaluation.attacks = build.columns(attacks, build.resolve(old, first))
  config = build.resolve(given, overrides)
  mesh = sharding.data_mesh()
  data = build.dataset(config, data_dir)
  settings, was = (
    [
      # What changes no number needs no other file.
      {
        k: v
        for k, v in c.evaluation.to_dict().items()
        if k not in ('batch_size', 'trust')
      },
      c.seed,
      {name: entry.workdir for name, entry in c.teachers.items()},
    ]
    for c in (config, build.resolve(old))
  )
  mark = fingerprint(settings)[:8]
  same = mark == fingerprint(was)[:8]
  # Those that are missing are trained, as in the run itself.
  train_teachers(config, workdir, data, data_dir, mesh)
  path = workdir / ('results.json' if same else f'results-{mark}.json')
  folder = 'eval' if same else f'eval-{mark}'
  found = evaluate_run(config, workdir, data, mesh, path, folder)
  say(f'written to {path}')
  return found
