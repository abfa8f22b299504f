"""MTARD on real handwritten digits: the whole path in minutes on a CPU."""

import pathlib

from ml_collections import ConfigDict

from jaxrkd import config as configs

TEACHERS = pathlib.Path(__file__).parent / 'teachers' / 'digits.py'


def get_config(arg: str = '') -> ConfigDict:
  smoke = arg == 'smoke'
  suffix = ',smoke' if smoke else ''
  clean = configs.load(TEACHERS, 'clean' + suffix)
  config = configs.load(TEACHERS, 'robust' + suffix)
  config.teachers = dict(
    clean=configs.teacher(clean), robust=configs.teacher(configs.load(TEACHERS, 'robust' + suffix))
  )
  config.student = dict(name='convnet', widths=(16, 32, 32), strides=(1, 2, 1))
  config.method = dict(name='mtard')
  return config
