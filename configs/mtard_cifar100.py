"""MTARD on CIFAR-100: `mtard.py:cifar100`, by a shorter name; words as there.

Run:       python launch/main.py --config=configs/mtard_cifar100.py --workdir=runs/mtard_c100
Smoke:     ':smoke', or ':mobilenet_v2,smoke'; a minute on a CPU
"""

import pathlib

from jaxrkd.experiment import config_files as configs

MTARD = pathlib.Path(__file__).parent / 'mtard.py'


def get_config(arg: str = '') -> configs.ConfigDict:
  return configs.load(MTARD, f'cifar100,{arg}')
