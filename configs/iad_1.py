"""IAD-I: introspective distillation from a robust teacher.

Run:       python launch/main.py --config=configs/iad_1.py:cifar10 --workdir=runs/iad_1
en-IAD:    ':en' learns from the mean of three teachers
Words:     data, student, en, at_plus, smoke; see `setting.py`
Table 6:   ':table6' has MMARD's inner problem and schedule under this outer loss
Schedule:  the intended second drop; --config.schedule.lr_bug=true is the released code's
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('table6',))
  recipe = dict(
    method=dict(name='iad_1', begin=60),
    attack=dict(steps=10, start='uniform_noclamp', bn='train'),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
    select=dict(metric='robust', attack=dict(name='pgd', steps=10)),
  )
  # The warm-up keeps its share of the run.
  digits = dict(method=dict(begin=13))
  if 'table6' in on.words:
    recipe = SETTING.table6(recipe)
  return SETTING.experiment(on, recipe, ('robust',), digits)
