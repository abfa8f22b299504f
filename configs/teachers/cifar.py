"""The CIFAR teachers of RSLAD, MTARD and MMARD.

Run: python launch/main.py --config=configs/teachers/cifar.py:cifar10,clean --workdir=runs/t
Words: cifar10 (default) or cifar100; robust (default) or clean; smoke.

            clean                        robust
cifar10     ResNet-56, 93.18 %           WRN-34-10, TRADES, 84.92 % clean
cifar100    WRN-22-6, 76.65 %            WRN-70-16, 60.96 % clean
(accuracies as MTARD, Table 1, reports them). The papers take the robust teachers from
public files; here TRADES trains the same networks. Their recipe for the clean teachers is
not published: 100 epochs, divided by 10 after epochs 75 and 90.
"""

from jaxrkd import config as configs

SETTING = configs.sibling(__file__, '../setting.py')
KINDS = ('robust', 'clean')
CIFAR100_MEAN, CIFAR100_STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
NETWORKS = {
  ('cifar10', 'clean'): dict(name='resnet56'),
  ('cifar10', 'robust'): dict(name='wrn_34_10'),
  ('cifar100', 'clean'): dict(name='wrn_22_6', mean=CIFAR100_MEAN, std=CIFAR100_STD),
  ('cifar100', 'robust'): dict(name='wrn_70_16', mean=CIFAR100_MEAN, std=CIFAR100_STD),
}


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, KINDS, ('cifar10', 'cifar100', 'smoke'))
  kind = configs.one_word(on.words, KINDS)
  config = SETTING.common(on)
  config.student = NETWORKS[on.data, kind]
  if kind == 'clean':
    config.method = dict(name='natural')
    config.select.metric = 'clean'
    config.epochs = 100
    config.schedule = dict(name='milestones', peak=0.1, milestones=(75, 90))
  else:
    config.method = dict(name='trades', beta=6.0)
    config.threat.eps = 0.031
    config.attack = dict(name='pgd', steps=10, step_size=0.007, start='gauss')
    config.epochs = 76
    config.schedule = dict(
      name='milestones', peak=0.1, milestones=(75, 90, 100), milestone_offset=0
    )
  if on.smoke:
    config.epochs, config.batch_size = 1, 16
    config.student = dict(name='resnet8', width=8)
  return config
