"""AdaAD with its authors' settings: MMARD's inner problem, KL only.

Run:       python launch/main.py --config=configs/adaad.py:cifar10 --workdir=runs/adaad
Words:     data, student, en, at_plus, smoke; see `setting.py`
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg)
  recipe = dict(
    method=dict(name='adaad', kl_scale=0.1 if on.data == 'cifar10' else 1.0),
    attack=dict(steps=10, start='gauss'),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
    optimizer=dict(weight_decay=5e-4),
    select=dict(metric='robust', attack=dict(name='pgd', steps=10)),
  )
  return SETTING.experiment(on, recipe, ('robust',))
