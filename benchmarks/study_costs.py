"""Writes what `jaxrkd study --list` says of every study: trainings, their epochs and arithmetic.

Usage: python benchmarks/study_costs.py --data_dir=DIR [--names=akd_fig4,...]

Every training is traced, once for all seeds; nothing is run. `--names` counts some studies
anew and keeps the others.
"""

import argparse
import json

from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.experiment.study_plan import Plan, plan
from jaxrkd.programs.study_dry_run import COSTS, cost, training_flop
from jaxrkd.runtime import files


def flop(made: Plan, data_dir: str) -> float:
  """Of all updates of all trainings."""
  each = (training_flop(made, t, data_dir) for t in made.trainings.values())
  return float(f'{sum(each):.4g}')


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
