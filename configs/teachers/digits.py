"""Teachers for the digits demo: a clean one (':clean') and a robust one (':robust').

Run: python launch/main.py --config=configs/teachers/digits.py:robust --workdir=runs/teacher
"""

from ml_collections import ConfigDict

from jaxrkd import config as configs

EPS = 0.15


def common() -> ConfigDict:
  """What every digits experiment shares: data, threat, evaluation."""
  config = configs.base()
  config.batch_size = 64
  config.data = dict(name='digits', heldout=200)
  # Digits must not be mirrored, and four pixels are half of an 8x8 image.
  config.augment = dict(pad=1, flip=False)
  config.threat.eps = EPS
  config.attack = dict(name='pgd', steps=7, step_size=EPS / 4, start='gauss')
  config.select.attack = dict(name='pgd', steps=10, step_size=EPS / 4)
  config.select.every = 2
  config.evaluation.threat.eps = EPS
  config.evaluation.attacks = dict(
    fgsm=dict(),
    pgd_sat=dict(step_size=EPS / 4),
    pgd_trades=dict(step_size=EPS / 10),
    cw_inf=dict(step_size=EPS / 4),
  )
  config.log_every = 100
  config.checkpoint_every = 5
  return config


def get_config(arg: str = 'robust') -> ConfigDict:
  kind, _, smoke = arg.partition(',')
  config = common()
  config.student = dict(name='convnet', widths=(32, 64, 64), strides=(1, 2, 1))
  config.epochs = 1 if smoke else 30
  config.schedule = dict(name='cosine', peak=0.1, unit='step')
  if kind == 'clean':
    config.method = dict(name='natural')
    config.select.metric = 'clean'
  else:
    config.method = dict(name='trades', beta=6.0)
  return config
