"""ARD with its authors' attack in training mode; alpha and temperature as MTARD reports.

Run:       python launch/main.py --config=configs/ard.py:cifar10 --workdir=runs/ard
en-ARD:    ':en' learns from the mean of three teachers
Words:     data, student, en, at_plus, smoke; see `setting.py`
Table 6:   ':table6' has MMARD's inner problem and schedule under this outer loss
Schedule:  the intended second drop; --config.schedule.lr_bug=true is the released code's
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('table6',))
  first = on.data == 'cifar10'
  recipe = dict(
    method=dict(
      name='ard', alpha=1.0 if first else 0.95, temperature=30.0 if first else 5.0
    ),
    attack=dict(steps=10, start='uniform_noclamp', bn='train'),
    batch_size=128 if first else 256,
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
  )
  if 'table6' in on.words:
    recipe = SETTING.table6(recipe)
  return SETTING.experiment(on, recipe, ('robust',))
