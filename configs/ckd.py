"""CKD: distillation on clean images from a clean teacher; no attack.

Run:       python launch/main.py --config=configs/ckd.py:cifar10 --workdir=runs/ckd
Words:     data, student, en, at_plus, smoke; see `setting.py`
Paper:     a definition only (AKD, equation 1; MTARD, equation 2); no table has it
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='ckd'),
    epochs=100,
    schedule=dict(name='milestones', peak=0.1, milestones=(75, 90)),
    select=dict(metric='clean'),
  )
  return SETTING.experiment(SETTING.choose(arg), recipe, ('clean',))
