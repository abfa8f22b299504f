"""AdaIAD with its authors' settings: IAD-I on AdaAD's inner problem.

Run:       python launch/main.py --config=configs/ada_iad.py:cifar10 --workdir=runs/ada_iad
Words:     data, student, en, at_plus, smoke; see `setting.py`
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='ada_iad'),
    attack=dict(steps=10, start='gauss'),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
    optimizer=dict(weight_decay=5e-4),
    select=dict(metric='robust', attack=dict(name='pgd', steps=10)),
  )
  return SETTING.experiment(
    SETTING.choose(arg), recipe, ('robust',), dict(method=dict(begin=14))
  )
