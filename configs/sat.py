"""SAT: standard adversarial training with PGD-10, as IAD's code runs it.

Run:       python launch/main.py --config=configs/sat.py:cifar10 --workdir=runs/sat
en-SAT:    ':en' trains three seeds and attacks their average as one network
Words:     data, student, en, at_plus, smoke; see `setting.py`
           ':table4' has the optimiser of AT-AKA's Table 4
Paper:     ResNet-18 on CIFAR-10 84.20 clean (MTARD), AA 45.83 (MMARD)
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('table4',))
  recipe = dict(
    method=dict(name='sat'),
    attack=dict(steps=10, start='uniform'),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150), milestone_offset=0),
    select=dict(metric='robust', attack=dict(name='pgd_sat')),
  )
  SETTING.add_table4(on, recipe)
  return SETTING.experiment(on, recipe)
