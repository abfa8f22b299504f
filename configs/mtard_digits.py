"""MTARD on 1,797 real handwritten digits: the whole path in minutes on a CPU.

Run:       python launch/main.py --config=configs/mtard_digits.py --workdir=runs/mtard_digits
Smoke:     add ':smoke' to the config
Hardware:  2 CPU cores, about 2 minutes
Result:    README.md, "What the demo shows"
"""

import pathlib

from ml_collections import ConfigDict

from jaxrkd import config as configs

TEACHERS = pathlib.Path(__file__).parent / 'teachers' / 'digits.py'


def get_config(arg: str = '') -> ConfigDict:
  smoke = 'smoke' if configs.words(arg, {'smoke'}) else ''
  clean = configs.load(TEACHERS, f'clean,{smoke}')
  robust = configs.load(TEACHERS, f'robust,{smoke}')
  config = configs.load(TEACHERS, f'robust,{smoke}')
  config.teachers = dict(clean=configs.teacher(clean), robust=configs.teacher(robust))
  config.student = dict(name='convnet', widths=(32, 64, 64))
  # With 18 updates an epoch the papers' 0.1 times the batch mean learns too slowly.
  config.method = dict(name='mtard', kl_scale=1.0)
  config.epochs = 1 if smoke else 45
  config.schedule = dict(name='cosine', peak=0.3, unit='step')
  return config
