"""AKD's teachers: ResNet-18 trained normally, with FFGSM or with PGD-7, at any eps.

Run: python launch/main.py --config=configs/teachers/akd.py:cifar10,pgd7 --workdir=runs/t
Words: cifar10 (default) or cifar100; pgd7 (default), ffgsm, std; eps2 or eps16 instead of
8/255; smoke; raw for no normalisation. 50 epochs of 0.1 * 0.9^epoch; epochs 5, 10, ...
are kept, so that `--config.teachers.NAME.epoch=20` of a student can name any of them.

The step at another eps is not stated in the paper: a quarter of it. FFGSM attacks in
evaluation mode, as its author's attack library does.

            PGD-7, eps 8/255 (Tables 1 and S5)      other teachers: not reported
cifar10     84.22 % clean, 46.99 % AutoAttack (53.56 % PGD-7)
cifar100    56.91 % clean, 19.67 % AutoAttack
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, '../setting.py')
TRAININGS, LEVELS = ('pgd7', 'ffgsm', 'std'), ('eps8', 'eps2', 'eps16')
WORDS = (*TRAININGS, *LEVELS, 'raw')
# The author's own constants are not public; these are the same laboratory's usual ones.
NORMAL = {'cifar10': 'cifar10_rounded', 'cifar100': 'cifar100'}
# AKD, Tables 1 and S5; the accuracies of its other teachers are not reported.
EXPECTED = {
  'cifar10': dict(clean=84.22, autoattack=46.99),
  'cifar100': dict(clean=56.91, autoattack=19.67),
}


def normalise(config: configs.ConfigDict, on) -> None:
  """Puts the data set's normalisation inside the network."""
  if 'raw' not in on.words:
    config.student.normalisation = NORMAL[on.data]


def teacher(on, training: str) -> configs.ConfigDict:
  """A teacher of one training, with the other words of an AKD experiment."""
  eps = int(configs.one_word(on.words, LEVELS).removeprefix('eps')) / 255
  config = SETTING.common(on)
  config.student = dict(name='resnet18')
  config.method = dict(name='natural' if training == 'std' else 'sat')
  config.threat.eps = eps
  if training == 'std':
    config.select.metric = 'clean'
  elif training == 'ffgsm':
    config.method = dict(name='ffgsm')
    config.attack = dict(name='pgd', steps=1, step_size=1.25 * eps, start='uniform')
  else:
    config.attack = dict(name='pgd', steps=7, start='uniform')
    if eps == SETTING.EIGHT and not on.smoke:
      config.expected = EXPECTED[on.data]
  config.batch_size = 128
  config.epochs = 50
  config.keep_epochs = tuple(range(5, 51, 5))
  config.schedule = dict(name='exponential', peak=0.1, factor=0.9)
  config.optimizer = dict(momentum=0.9, weight_decay=5e-4)
  if on.smoke:
    config.epochs, config.batch_size, config.keep_epochs = 1, 16, (1,)
    config.student = dict(name='resnet8', width=8)
  normalise(config, on)
  return config


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, WORDS, ('cifar10', 'cifar100', 'smoke'))
  return teacher(on, configs.one_word(on.words, TRAININGS))
