"""Writes what `jaxrkd study --list` says of every study: its trainings and their epochs.

Usage: python benchmarks/study_costs.py
"""

from jaxrkd.experiment.study import load_study, names
from jaxrkd.experiment.study_plan import plan
from jaxrkd.programs.study_dry_run import COSTS, cost
from jaxrkd.runtime import files


def main() -> None:
  """Plans every study at the scale of its paper."""
  files.write_json(COSTS, {name: cost(plan(load_study(name))) for name in names()})


if __name__ == '__main__':
  main()
