"""B-MTARD with its authors' settings: MTARD with balanced temperatures of the teachers.

Run:       python launch/main.py --config=configs/b_mtard.py:cifar10 --workdir=runs/b_mtard
Words:     data, student, en, at_plus, smoke; see `setting.py`
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='b_mtard'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(215, 260, 285)),
  )
  # With 18 updates an epoch 0.1 times the batch mean learns too slowly, and 0.001 a step
  # moves a temperature by less than 1 in a training.
  digits = dict(method=dict(kl_scale=1.0, tau_rate=0.005))
  return SETTING.experiment(SETTING.choose(arg), recipe, ('clean', 'robust'), digits)
