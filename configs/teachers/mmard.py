"""MMARD's other teachers on CIFAR-10 (Tables 2 and 5), by their networks.

Run: python launch/main.py --config=configs/teachers/mmard.py:wrn_34_20 --workdir=runs/t
Words: resnet18 (default), wrn_34_10, wrn_34_20, wrn_70_16; smoke.

            clean   FGSM    PGD_sat  PGD_trades  CW_inf  AutoAttack   the paper's file
resnet18    80.24   59.76   56.27    57.27       52.05   51.53        cifar10/Addepalli2021Towards_RN18
wrn_34_10   84.92   60.87   55.33    56.61       53.98   53.08        cifar10/Zhang2019Theoretically
wrn_34_20   88.70   63.26   55.91    57.74       54.76   53.26        cifar10/Cui2020Learnable_34_20
wrn_70_16   85.66   64.80   61.09    62.39       58.52   57.48        cifar10/Jia2022LAS-AT_70_16

The last column is a recipe for the public file, under any method that has a robust teacher:

  --config.teachers.robust.file=FILE --config.teachers.robust.recipe=cifar10/...

Those were trained by other methods; here TRADES trains the same network, and the accuracies
above are what it is compared with.
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, '../setting.py')
CIFAR = configs.sibling(__file__, 'cifar.py')
EXPECTED = {
  'resnet18': (80.24, 59.76, 56.27, 57.27, 52.05, 51.53),
  'wrn_34_10': (84.92, 60.87, 55.33, 56.61, 53.98, 53.08),
  'wrn_34_20': (88.70, 63.26, 55.91, 57.74, 54.76, 53.26),
  'wrn_70_16': (85.66, 64.80, 61.09, 62.39, 58.52, 57.48),
}


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, tuple(EXPECTED), ('cifar10', 'smoke'))
  name = configs.one_word(on.words, tuple(EXPECTED))
  config = SETTING.common(on)
  config.student = dict(name=name)
  config.expected = dict(zip(CIFAR.COLUMNS, EXPECTED[name]))
  CIFAR.trades(config)
  if on.smoke:
    CIFAR.shrink(config)
  return config
