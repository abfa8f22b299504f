"""LBGAT with its authors' settings: a guide is trained along.

Run:       python launch/main.py --config=configs/lbgat.py:cifar10,wrn_34_10 --workdir=runs/lbgat
Words:     data, student, aa, fog, smoke (`setting.py`); the authors' student is wrn_34_10, and
  lbgat6   (default) with TRADES' term at beta 6
  lbgat0   without it
Schedule:  without the code's first epoch at 0.02
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  weights = ('lbgat6', 'lbgat0')
  words = (*SETTING.DATA, *SETTING.STUDENTS, 'aa', 'fog', 'smoke')
  on = SETTING.choose(arg, weights, words)
  beta = 0.0 if configs.one_word(on.words, weights) == 'lbgat0' else 6.0
  recipe = dict(
    method=dict(name='lbgat', beta=beta),
    threat=dict(eps=0.031),
    attack=dict(steps=10, step_size=0.007, start='gauss'),
    epochs=100,
    schedule=dict(name='milestones', peak=0.1, milestones=(75, 90)),
    select=dict(metric='robust'),
  )
  config = SETTING.experiment(on, recipe)
  small = on.smoke or on.data == 'digits'
  config.online.guide = config.student.to_dict() if small else dict(name='resnet18')
  return config
