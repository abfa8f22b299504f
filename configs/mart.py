"""MART with its authors' settings for ResNet-18 and WideResNets.

Run:       python launch/main.py --config=configs/mart.py:cifar10 --workdir=runs/mart
Words:     data, student, en, at_plus, smoke; see `setting.py`
           ':table4' has the optimiser of AT-AKA's Table 4
Epochs:    the code's 120 (90 for WideResNets); its author names 100: --config.epochs=100
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('table4',))
  wide = on.student.startswith('wrn')
  recipe = dict(
    method=dict(name='mart', beta=6.0 if wide else 5.0),
    threat=dict(eps=0.031),
    attack=dict(steps=10, step_size=0.007, start='gauss'),
    epochs=90 if wide else 120,
    schedule=dict(
      name='milestones',
      peak=0.1 if wide else 0.01,
      milestones=(75, 90, 100),
      milestone_offset=0,
    ),
    optimizer=dict(weight_decay=7e-4 if wide else 3.5e-3),
  )
  SETTING.add_table4(on, recipe)
  return SETTING.experiment(on, recipe, digits=dict(schedule=dict(peak=0.1)))
