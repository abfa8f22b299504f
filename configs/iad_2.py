"""IAD-II: introspective distillation from a robust and a clean teacher.

Run:       python launch/main.py --config=configs/iad_2.py:cifar10 --workdir=runs/iad_2
Words:     data, student, en, at_plus, smoke; see `setting.py`
Schedule:  the intended second drop; --config.schedule.lr_bug=true is the released code's
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='iad_2', begin=40),
    attack=dict(steps=10, start='uniform_noclamp', bn='train'),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
    select=dict(metric='robust', attack=dict(name='pgd', steps=10)),
  )
  digits = dict(method=dict(begin=9))
  return SETTING.experiment(SETTING.choose(arg), recipe, ('clean', 'robust'), digits)
