"""MTARD on CIFAR-10: `mtard.py:cifar10`, by a shorter name; words as there.

Run:       python launch/main.py --config=configs/mtard_cifar10.py --workdir=runs/mtard_c10
Smoke:     ':smoke', or ':mobilenet_v2,smoke'; a minute on a CPU
"""

import pathlib

from jaxrkd.experiment import config_files as configs

MTARD = pathlib.Path(__file__).parent / 'mtard.py'


def get_config(arg: str = '') -> configs.ConfigDict:
  return configs.load(MTARD, f'cifar10,{arg}')
