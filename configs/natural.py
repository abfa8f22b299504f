"""Natural training: the undefended baseline of every table.

Run:       python launch/main.py --config=configs/natural.py:cifar10 --workdir=runs/natural
Words:     data, student, en, at_plus, smoke; see `setting.py`
Paper:     ResNet-18 on CIFAR-10 94.57 (MTARD), 94.65 (MMARD) clean
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='natural'),
    epochs=100,
    schedule=dict(name='milestones', peak=0.1, milestones=(75, 90)),
    select=dict(metric='clean'),
  )
  return SETTING.experiment(SETTING.choose(arg), recipe)
