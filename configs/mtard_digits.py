"""MTARD on 1,797 real handwritten digits: `mtard.py:digits`, by a shorter name.

Run:       python launch/main.py --config=configs/mtard_digits.py --workdir=runs/mtard_digits
Smoke:     add ':smoke' to the config
Hardware:  2 CPU cores, about 3 minutes
Result:    README.md, "What the demo shows"
"""

import pathlib

from jaxrkd.experiment import config_files as configs

MTARD = pathlib.Path(__file__).parent / 'mtard.py'


def get_config(arg: str = '') -> configs.ConfigDict:
  return configs.load(MTARD, f'digits,{arg}')
