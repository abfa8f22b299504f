"""MTARD on 1,797 real handwritten digits: `mtard.py:digits`, and a stronger attack measured.

Run:       python launch/main.py --config=configs/mtard_digits.py --workdir=runs/mtard_digits
Smoke:     add ':smoke' to the config
Hardware:  2 CPU cores, about 3 minutes
Result:    README.md
"""

import pathlib

from jaxrkd.experiment import config_files as configs

MTARD = pathlib.Path(__file__).parent / 'mtard.py'


def get_config(arg: str = '') -> configs.ConfigDict:
  config = configs.load(MTARD, f'digits,{arg}')
  # The attacks of the paper leave images robust that this one breaks; AutoAttack breaks no
  # more, and takes minutes.
  config.evaluation.attacks.apgd_t = dict(steps=50, targets=5)
  return config
