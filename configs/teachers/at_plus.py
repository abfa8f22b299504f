"""AKD's AT+ teachers (Tables 1 and 6): WRN-28-10-swish by the recipe of Rebuffi et al.

Run: python launch/main.py --config=configs/teachers/at_plus.py:cifar10 --workdir=runs/at_plus \\
       --config.extra.path=cifar10_ddpm.npz --config.label_smoothing.amount=0.1 \\
       --config.augment.cutout=16
Words: cifar10 (default) or cifar100; smoke.

            clean   PGD-20   AutoAttack (AKD, Table 6)
cifar10     87.78   61.60    58.18
cifar100    61.98   31.88    29.58

`configs/trades.py:at_plus,dm_wrn_28_10` by a shorter name. Without generated images, label
smoothing on them and Cutout it is Gowal's recipe. Epochs 50, 100, ... are kept for Figure S3.
"""

import pathlib

from jaxrkd.experiment import config_files as configs

TRADES = pathlib.Path(__file__).parent.parent / 'trades.py'
SETTING = configs.sibling(__file__, '../setting.py')
EXPECTED = {
  'cifar10': dict(clean=87.78, pgd_sat=61.60, autoattack=58.18),
  'cifar100': dict(clean=61.98, pgd_sat=31.88, autoattack=29.58),
}


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, (), ('cifar10', 'cifar100', 'smoke'))
  config = configs.load(TRADES, f'at_plus,dm_wrn_28_10,{arg}')
  if not on.smoke:
    config.expected = EXPECTED[on.data]
    config.keep_epochs = tuple(range(50, 401, 50))
  return config
