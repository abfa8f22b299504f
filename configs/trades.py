"""TRADES with its authors' eps 0.031, steps and milestones.

Run:       python launch/main.py --config=configs/trades.py:cifar10 --workdir=runs/trades
AT+:       ':at_plus,dm_wrn_28_10' is the recipe of Gowal and Rebuffi, with the Adam adversary
Words:     data, student, en, at_plus, smoke; see `setting.py`
           ':table4' has the optimiser of AT-AKA's Table 4
Paper:     ResNet-18 on CIFAR-10 83.00 (MTARD), 81.93 (MMARD) clean
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('table4',))
  recipe = dict(
    method=dict(name='trades', beta=6.0),
    threat=dict(eps=0.031),
    attack=dict(steps=10, step_size=0.007, start='gauss'),
    epochs=120,
    schedule=dict(
      name='milestones', peak=0.1, milestones=(75, 90, 100), milestone_offset=0
    ),
  )
  if on.at_plus:
    recipe['method'] = dict(name='trades', beta=6.0, variant='deepmind')
    recipe['threat'] = dict(eps=SETTING.EIGHT)
    recipe['attack'] = dict(name='adam', bn='batch')
  SETTING.add_table4(on, recipe)
  return SETTING.experiment(on, recipe)
