"""Teachers for sets that the four papers do not use: SVHN, GTSRB and Tiny-ImageNet.

Run: python launch/main.py --config=configs/teachers/other_sets.py:svhn,robust --workdir=runs/t
Words: svhn (default), gtsrb or tiny_imagenet; robust (default) or clean; smoke.

The networks and recipes are those of `cifar.py`: a WRN-34-10 that TRADES trains, and a
ResNet-18. They normalise with the constants of their set. No numbers are known to reach.
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, '../setting.py')
CIFAR = configs.sibling(__file__, 'cifar.py')
SETS = tuple(SETTING.OTHERS)
NETWORKS = {'clean': 'resnet18', 'robust': 'wrn_34_10'}


def get_config(arg: str = '') -> configs.ConfigDict:
  # Without a word for the data, `choose` would take CIFAR-10.
  words = [word for word in arg.split(',') if word]
  words = words if {*words} & {*SETS} else [SETS[0], *words]
  on = SETTING.choose(','.join(words), CIFAR.KINDS, (*SETS, 'smoke'))
  kind = configs.one_word(on.words, CIFAR.KINDS)
  config = SETTING.common(on)
  config.student = dict(name=NETWORKS[kind], normalisation=on.data)
  (CIFAR.natural if kind == 'clean' else CIFAR.trades)(config)
  if on.data == 'svhn':
    SETTING.slow(config)
  if on.smoke:
    CIFAR.shrink(config)
  return config
