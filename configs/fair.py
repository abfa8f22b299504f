"""Fair-ARD and its kind: classes that are easily attacked count more.

Run:       python launch/main.py --config=configs/fair.py:rslad,cifar10 --workdir=runs/fair
Words:     data, student, en, at_plus, smoke (`setting.py`), and the method that is made fair:
           rslad (default), ard, iad, mtard
Code:      Nesterov momentum, as the released scripts have it
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  bases = ('rslad', 'ard', 'iad', 'mtard')
  on = SETTING.choose(arg, bases)
  base = configs.one_word(on.words, bases)
  kinds = ('clean', 'robust') if base == 'mtard' else ('robust',)
  recipe = dict(
    method=dict(name=f'fair_{base}'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(215, 260, 285)),
    optimizer=dict(nesterov=True),
    select=dict(metric='robust'),
  )
  # With 18 updates an epoch 0.1 times the batch mean learns too slowly.
  scaled = dict(kl_scale=1.0) if base in ('rslad', 'mtard') else {}
  digits = dict(method=dict(begin=14) if base == 'iad' else scaled)
  return SETTING.experiment(on, recipe, kinds, digits)
