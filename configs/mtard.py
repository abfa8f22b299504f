"""MTARD with the paper's teachers and hyper-parameters.

Run:       python launch/main.py --config=configs/mtard.py:cifar10 --workdir=runs/mtard_c10
           `mtard_cifar100.py` and `mtard_digits.py` are short for ':cifar100', ':digits'
Words:     data, student, en, at_plus, smoke; see `setting.py`
Hardware:  a GPU or TPU; `--dry_run` estimates the time; digits: 2 CPU cores, 3 minutes
Paper:     CIFAR-10: ResNet-18 87.36 clean, 50.73 PGD_sat; MobileNetV2 89.26, 44.16
Result:    digits in README.md, "What the demo shows"; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='mtard'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(215, 260, 285)),
  )
  # With 18 updates an epoch 0.1 times the batch mean learns too slowly.
  digits = dict(method=dict(kl_scale=1.0))
  return SETTING.experiment(SETTING.choose(arg), recipe, ('clean', 'robust'), digits)
