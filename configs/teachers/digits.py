"""Teachers for 8x8 digits: a clean one (':clean') and a robust one (':robust', TRADES).

Run: python launch/main.py --config=configs/teachers/digits.py:robust --workdir=runs/teacher
"""

from ml_collections import ConfigDict

from jaxrkd import config as configs

# 8x8 digits are almost black and white, so a ball that tests them is larger than the
# 8/255 of photographs.
EPS = 0.12


def common() -> ConfigDict:
  """What every digits experiment shares: data, threat, search, measurement."""
  config = configs.base()
  config.batch_size = 64
  config.data = dict(name='digits', heldout=200)
  # A mirrored digit is another sign, and four pixels are half an image.
  config.augment = dict(pad=1, flip=False)
  config.threat.eps = EPS
  config.attack = dict(name='pgd', steps=7, step_size=EPS / 4, start='gauss')
  config.select.attack = dict(name='pgd', steps=10, step_size=EPS / 4)
  config.select.every = 2
  # The steps keep the papers' ratio to eps.
  config.evaluation.threat.eps = EPS
  config.evaluation.attacks = dict(
    fgsm=dict(),
    pgd_sat=dict(step_size=EPS / 4),
    pgd_trades=dict(step_size=EPS * 0.003 * 255 / 8),
    cw_inf=dict(step_size=EPS / 4),
  )
  config.checkpoint_every = 5
  config.log_every = 100
  return config


def get_config(arg: str = 'robust') -> ConfigDict:
  chosen = configs.words(arg, {'clean', 'robust', 'smoke'})
  config = common()
  config.student = dict(name='convnet', widths=(48, 96, 96))
  config.epochs = 1 if 'smoke' in chosen else 30
  config.schedule = dict(name='cosine', peak=0.1, unit='step')
  if 'clean' in chosen:
    config.method.name = 'natural'
    config.select.metric = 'clean'
  else:
    config.method = dict(name='trades', beta=6.0)
  return config
