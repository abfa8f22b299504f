"""The papers' CIFAR teachers and the settings that all CIFAR experiments share.

Run: python launch/main.py --config=configs/teachers/cifar.py:cifar10,clean --workdir=runs/t
Arguments: cifar10 or cifar100; clean or robust; smoke for a minute on a CPU.

            clean                        robust
cifar10     ResNet-56, 93.18 %           WRN-34-10, TRADES, 84.92 % clean
cifar100    WRN-22-6, 76.65 %            WRN-70-16, 60.96 % clean
(accuracies as MTARD, Table 1, reports them). The papers take the robust teachers from
public files; here TRADES trains the same networks. Their recipe for the clean teachers is
not published: 100 epochs, divided by 10 after epochs 75 and 90.
"""

from ml_collections import ConfigDict

from jaxrkd import config as configs

WORDS = {'cifar10', 'cifar100', 'clean', 'robust', 'smoke'}
CIFAR100_MEAN, CIFAR100_STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
NETWORKS = {
  ('cifar10', 'clean'): dict(name='resnet56'),
  ('cifar10', 'robust'): dict(name='wrn_34_10'),
  ('cifar100', 'clean'): dict(name='wrn_22_6', mean=CIFAR100_MEAN, std=CIFAR100_STD),
  ('cifar100', 'robust'): dict(name='wrn_70_16', mean=CIFAR100_MEAN, std=CIFAR100_STD),
}


def common(data: str, smoke: bool) -> ConfigDict:
  """What every CIFAR experiment shares; the papers select on the test set."""
  config = configs.base()
  config.data.name = data
  config.batch_size = 128
  config.augment = dict(pad=4, flip=True)
  config.select.split = 'test'
  if smoke:
    config.epochs = 1
    config.batch_size = 16
    config.data = dict(name=data, train_limit=64, test_limit=32)
    config.evaluation.batch_size = 32
    config.log_every = 2
  return config


def get_config(arg: str = 'cifar10,robust') -> ConfigDict:
  chosen = configs.words(arg, WORDS)
  data = 'cifar100' if 'cifar100' in chosen else 'cifar10'
  kind = 'clean' if 'clean' in chosen else 'robust'
  smoke = 'smoke' in chosen
  config = common(data, smoke)
  config.student = NETWORKS[data, kind]
  if smoke:
    config.student = dict(name='resnet8', width=8)
  if kind == 'clean':
    config.method.name = 'natural'
    config.select.metric = 'clean'
    config.epochs = 1 if smoke else 100
    config.schedule = dict(name='milestones', peak=0.1, milestones=(75, 90))
  else:
    config.method = dict(name='trades', beta=6.0)
    config.threat.eps = 0.031
    config.attack = dict(name='pgd', steps=10, step_size=0.007, start='gauss')
    config.epochs = 1 if smoke else 76
    config.schedule = dict(
      name='milestones', peak=0.1, milestones=(75, 90, 100), milestone_offset=0
    )
  return config
