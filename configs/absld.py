"""ABSLD with its authors' settings: RSLAD with a temperature for every class.

Run:       python launch/main.py --config=configs/absld.py:cifar10 --workdir=runs/absld
Words:     data, student, en, at_plus, smoke; see `setting.py`
Released:  --config.method.shared_storage=true, one temperature for both terms
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='absld'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(215, 260, 285)),
    select=dict(metric='robust'),
  )
  # With 18 updates an epoch 0.1 times the batch mean learns too slowly.
  digits = dict(method=dict(kl_scale=1.0))
  return SETTING.experiment(SETTING.choose(arg), recipe, ('robust',), digits)
