"""Writes what `jaxrkd study --list` says of every study: trainings, their epochs and arithmetic.

Usage: python benchmarks/study_costs.py --data_dir=DIR [--names=akd_fig4,...]

Every training is traced, once for all seeds; nothing is run. `--names` counts some studies
anew and keeps the others.
"""

import argparse
import json

from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.experiment.study_plan import Plan, Training, plan
from jaxrkd.programs.study_dry_run import COSTS, cost, training_flop
from jaxrkd.runtime import files

# Training without its seed and its teachers' seeds -> FLOP.
KNOWN: dict[str, float] = {}


def _anonymous(made: Plan, training: Training) -> list:
  told = json.loads(training.config.to_json())
  told['seed'] = 0
  teachers = [made.trainings[mark] for mark in training.teachers.values()]
  return [told, sorted(teacher.config.student.to_json() for teacher in teachers)]


def flop(made: Plan, data_dir: str) -> float:
  """Of all updates of all trainings."""
  total = 0.0
  for training in made.trainings.values():
    mark = fingerprint(_anonymous(made, training))
    if mark not in KNOWN:
      KNOWN[mark] = training_flop(made, training, data_dir)
    total += KNOWN[mark]
  return float(f'{total:.4g}')


def main() -> None:
  """Plans every study at the scale of its paper."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--data_dir', default='')
  parser.add_argument('--names', type=lambda text: text.split(','), default=names())
  options = parser.parse_args()
  found = json.loads(COSTS.read_text(encoding='utf-8')) if COSTS.is_file() else {}
  for name in options.names:
    made = plan(load_study(name))
    found[name] = {**cost(made), 'flop': flop(made, options.data_dir)}
    print(name, found[name], flush=True)
    files.write_json(COSTS, {name: found[name] for name in names() if name in found})


if __name__ == '__main__':
  main()
