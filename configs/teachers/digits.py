"""Teachers for 8x8 digits: a robust one (TRADES) and a clean one (':clean').

Run: python launch/main.py --config=configs/teachers/digits.py:robust --workdir=runs/teacher
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, '../setting.py')
KINDS = ('robust', 'clean')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(f'digits,{arg}', KINDS, ('digits', 'smoke'))
  config = SETTING.common(on)
  config.student = dict(name='convnet', widths=(48, 96, 96))
  config.attack = dict(name='pgd', steps=7, start='gauss')
  config.epochs = 1 if on.smoke else 30
  config.schedule = dict(name='cosine', peak=0.1, unit='step')
  if configs.one_word(on.words, KINDS) == 'clean':
    config.method = dict(name='natural')
    config.select.metric = 'clean'
  else:
    config.method = dict(name='trades', beta=6.0)
  return config
