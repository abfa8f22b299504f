"""What all experiments share: data, threat, measurement, networks, teachers.

A method's file (`rslad.py`) holds its recipe on CIFAR; `experiment` puts it on a data set
and a student. Arguments are words separated by commas, in any order:

  cifar10 (default), cifar100, digits            data
  svhn, gtsrb, tiny_imagenet                     data that the papers do not use: checkpoints are
             chosen on held-out images, and --config.data.path names the folder
  resnet18 (default), mobilenet_v2, wrn_34_10, wrn_28_10, dm_wrn_28_10
             student (digits has a ConvNet); dm_wrn_28_10 is DeepMind's WRN-28-10-swish
  en         an ensemble: three teachers of each kind with seeds 0 to 2, or, for methods
             without teachers, three students measured as one network
  at_plus    the AT+ recipe of Rebuffi et al. (2103.01946): EMA, Nesterov, warm-up, cosine
  fog        four more columns: Fog of strength 64, 128, 256 and 512 (AT-AKA, Table 4)
  aa         one more column: AutoAttack, standard
  black_box  three more columns: Square with 100 queries, and PGD_trades and CW_inf made on the
             robust teacher (MTARD, Tables 4 and 5)
  smoke      the same stages in about a minute on a CPU, with tiny networks
"""

import pathlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs

TEACHERS = pathlib.Path(__file__).parent / 'teachers'
# Sets that the papers do not use, and how many of their images are held out.
OTHERS = {'svhn': 1000, 'gtsrb': 1000, 'tiny_imagenet': 2000}
# Mirrored digits and signs mean something else.
NO_FLIPS = ('digits', 'svhn', 'gtsrb')
CLASSES = {'cifar100': 100, 'gtsrb': 43, 'tiny_imagenet': 200}
DATA = ('cifar10', 'cifar100', 'digits', *OTHERS)
STUDENTS = ('resnet18', 'mobilenet_v2', 'wrn_34_10', 'wrn_28_10', 'dm_wrn_28_10')
WORDS = {*DATA, *STUDENTS, 'en', 'at_plus', 'aa', 'black_box', 'fog', 'smoke'}
FOGS = (64, 128, 256, 512)
MEMBERS = 3
# 8x8 digits are almost black and white, so a ball that tests them is larger than the
# 8/255 of photographs.
DIGITS_EPS = 0.12
EIGHT = 8 / 255


class Chosen(NamedTuple):
  """A config's argument, read."""

  data: str
  student: str
  en: bool
  at_plus: bool
  smoke: bool
  words: frozenset[str]


def choose(
  arg: str, more: tuple[str, ...] = (), words: Collection[str] = WORDS
) -> Chosen:
  """Reads an argument.

  Args:
    arg: words separated by commas.
    more: words that one config adds.
    words: those of this file that it takes.

  Raises:
    InputError: unknown words, or words that exclude each other.
  """
  found = configs.words(arg, {*words, *more})
  on = Chosen(
    data=configs.one_word(found, DATA),
    student=configs.one_word(found, STUDENTS),
    en='en' in found,
    at_plus='at_plus' in found,
    smoke='smoke' in found,
    words=frozenset(found),
  )
  if on.data == 'digits':
    refuse(on, (*STUDENTS, 'at_plus'), 'it is for CIFAR, and the data are digits')
  return on


def refuse(on: Chosen, words: Collection[str], why: str) -> None:
  """Raises `InputError` where one of the words was given that would mean nothing."""
  for word in words:
    if word in on.words:
      raise InputError(f'the config argument {word!r} cannot be used here: {why}')


def common(on: Chosen) -> ConfigDict:
  """Data, threat, augmentation and measurement, without network or method."""
  config = configs.base()
  if on.data == 'digits':
    return _digits(config)
  config.data.name = on.data
  config.batch_size = 128
  if on.data in OTHERS:
    config.data.heldout = OTHERS[on.data]
  else:
    # The papers choose the best checkpoint on the test set.
    config.select.split = 'test'
  config.augment.flip = on.data not in NO_FLIPS
  if on.smoke:
    config.data = dict(name=on.data, train_limit=64, test_limit=32)
    config.data.heldout = 16 if on.data in OTHERS else 0
    config.evaluation.batch_size = 32
    config.log_every = 2
  return config


def _digits(config: ConfigDict) -> ConfigDict:
  eps = DIGITS_EPS
  config.batch_size = 64
  config.data = dict(name='digits', heldout=200)
  # A mirrored digit is another sign, and four pixels are half an image.
  config.augment = dict(pad=1, flip=False)
  config.threat.eps = eps
  config.select.attack = dict(name='pgd', steps=10)
  config.select.every = 2
  config.evaluation.threat.eps = eps
  config.checkpoint_every = 5
  config.log_every = 100
  return config


def teachers(on: Chosen, kinds: tuple[str, ...]) -> dict[str, Any]:
  """The papers' teachers of a data set; several of each kind where `en` is chosen."""
  family = 'digits' if on.data == 'digits' else 'other_sets'
  family = family if on.data in ('digits', *OTHERS) else 'cifar'
  found = {}
  for kind in kinds:
    for seed in range(MEMBERS if on.en else 1):
      smoke = ',smoke' if on.smoke else ''
      config = configs.load(TEACHERS / f'{family}.py', f'{on.data},{kind}{smoke}')
      config.seed = seed
      name = f'{kind}_{seed}' if on.en else kind
      # The TRADES script selects nothing: its CIFAR teacher is the last epoch's.
      checkpoint = 'last' if (family, kind) == ('cifar', 'robust') else 'best'
      found[name] = configs.teacher(config, kind=kind, checkpoint=checkpoint)
  return found


def experiment(
  on: Chosen,
  recipe: Mapping[str, Any],
  kinds: tuple[str, ...] = (),
  digits: Mapping[str, Any] | None = None,
) -> ConfigDict:
  """A method on a data set and a student.

  Args:
    on: see `choose`.
    recipe: what differs from `config.base()` on CIFAR, as the method's authors have it.
    kinds: of the teachers that the method learns from.
    digits: what differs from the recipe on digits.
  """
  config = common(on)
  config.student = dict(name=on.student)
  config.teachers = teachers(on, kinds)
  if on.en and not kinds:
    config.members = MEMBERS
  config.update(ConfigDict(dict(recipe), convert_dict=True))
  if on.at_plus:
    _at_plus(config)
  if on.data == 'svhn':
    slow(config)
  if on.data == 'digits':
    _shrink(config, digits or {})
  _add_columns(config, on)
  if on.smoke:
    config.evaluation.trust.images = 8
    config.epochs = 1
    config.awp.warmup = 0
    config.schedule = dict(name='cosine', peak=0.1)
    if on.data != 'digits':
      config.batch_size = 16
      # The networks' real sizes are what `--dry_run` is for.
      config.student = dict(name='resnet8', width=8)
  return config


def slow(config: ConfigDict) -> None:
  """SVHN's rate: with CIFAR's, training stays at chance. AWP's logs (2004.05884) have it."""
  config.schedule.peak = min(config.schedule.peak, 0.01)


def _add_columns(config: ConfigDict, on: Chosen) -> None:
  """What the words about the measurement ask for."""
  columns = config.evaluation.attacks
  if 'fog' in on.words:
    for strength in FOGS:
      columns[f'fog_{strength}'] = dict(name='fog', strength=float(strength))
  if 'aa' in on.words:
    columns.autoattack = dict()
  if 'black_box' in on.words:
    robust = [name for name in config.teachers if name.startswith('robust')]
    if not robust:
      refuse(
        on, ('black_box',), 'its images are made on a robust teacher, and there is none'
      )
    columns.square_100 = dict(name='square', queries=100, rescale=True)
    for name in ('pgd_trades', 'cw_inf'):
      own = columns[name].to_dict()
      columns[f'{name}_from_robust'] = {**own, 'name': name, 'surrogate': robust[0]}


def table6(recipe: dict[str, Any]) -> dict[str, Any]:
  """MMARD's Table 6: its inner problem, attack and schedule under another outer loss."""
  return {
    **recipe,
    'inner': dict(name='kl_teacher_adv'),
    'attack': dict(steps=10, start='gauss', bn='eval'),
    'batch_size': 128,
    'epochs': 300,
    'schedule': dict(name='cosine', peak=0.1, unit='epoch'),
    'select': dict(metric='robust'),
  }


RULES = ('soft', 'naive', 'linear', 'pareto')


def table4(on: Chosen) -> dict[str, Any]:
  """The optimiser of AT-AKA's Table 4: 120 epochs with MART's rate and weight decay."""
  wide = 'wrn' in on.student
  milestones = dict(milestones=(75, 90, 100), milestone_offset=1)
  return dict(
    epochs=120,
    schedule=dict(name='milestones', peak=0.1 if wide else 0.01, **milestones),
    optimizer=dict(weight_decay=7e-4 if wide else 3.5e-3),
  )


def add_table4(on: Chosen, recipe: dict[str, Any]) -> None:
  """Does so where the word 'table4' was given."""
  if 'table4' in on.words:
    refuse(on, ('digits', 'at_plus'), 'table4 is an optimiser of its own, for CIFAR')
    recipe.update(table4(on))


def aka_alpha(on: Chosen, rule: str) -> float:
  """AT-AKA's alpha: 0.5 under the mean over classes, written for the sum over them."""
  if rule == 'pareto':
    return 0.5
  return 1 / (1 + CLASSES.get(on.data, 10))


def aka_attack(kind: str) -> dict[str, Any]:
  """20 steps of 0.003 by SVGD, as 'paper' prints it or 'coupled', or by 'pgd'."""
  names = {'paper': 'svgd_paper', 'coupled': 'svgd', 'pgd': 'pgd'}
  return dict(name=names[kind], steps=20, step_size=0.003, start='uniform')


def _shrink(config: ConfigDict, digits: Mapping[str, Any]) -> None:
  """Brings a CIFAR recipe to 8x8 digits: larger eps, shorter training."""
  config.student = dict(name='convnet', widths=(32, 64, 64))
  attack = config.attack
  one_step = attack.get('steps', 10) == 1
  attack.steps = 1 if one_step else 7
  # One step, and AT-AKA's, are no quarter of the radius by themselves.
  own = one_step or attack.name.startswith('svgd')
  attack.step_size = DIGITS_EPS * (1.25 if one_step else 0.25) if own else None
  config.threat.eps = DIGITS_EPS
  config.batch_size = 64
  config.epochs = 45
  config.optimizer = dict(momentum=0.9, weight_decay=2e-4)
  config.schedule = dict(name='cosine', peak=0.3, unit='step')
  # One rule for all methods that attack, so that their rows compare.
  if config.select.metric != 'clean':
    config.select.metric = 'weighted'
  config.select.attack = dict(name='pgd', steps=10)
  config.update(ConfigDict(dict(digits), convert_dict=True))


def _at_plus(config: ConfigDict) -> None:
  """AT+ without generated images. With them, add
  --config.extra.path=cifar10_ddpm.npz --config.label_smoothing.amount=0.1; CutMix and
  Cutout are config.augment.cutmix=1 and config.augment.cutout=16."""
  config.epochs = 400
  config.batch_size = 1024
  config.schedule = dict(name='cosine', peak=0.4, unit='step', warmup_epochs=10.0)
  config.optimizer = dict(
    momentum=0.9, weight_decay=5e-4, nesterov=True, decay_norm=False
  )
  config.ema = dict(decay=0.995, warmup=True)
  config.student.update(bn_momentum=0.99, normalisation=config.data.name)
