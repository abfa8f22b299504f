"""The CIFAR teachers of RSLAD, MTARD and MMARD.

Run: python launch/main.py --config=configs/teachers/cifar.py:cifar10,clean --workdir=runs/t
Words: cifar10 (default) or cifar100; robust (default) or clean; smoke.

            clean (MTARD, Table 1)            robust (MMARD, Table 2)
cifar10     ResNet-56                         WRN-34-10, TRADES
            93.18 % clean, 0 % PGD_sat        84.92 % clean, 55.33 % PGD_sat, 53.08 % AutoAttack
cifar100    WRN-22-6-swish                    WRN-70-16-swish
            76.65 % clean, 0 % PGD_sat        60.86 % clean, 33.56 % PGD_sat, 30.03 % AutoAttack

The papers take them from public files. So does, under any method's config,

  --config.teachers.robust.file=model_cifar_wrn.pt
  --config.teachers.robust.recipe=trades_wrn_34_10

with the recipes trades_wrn_34_10, deepmind_cifar100_wrn_70_16_without, mtard_resnet56 and
mtard_wrn_22_6. Without files TRADES trains the robust ones here. The recipe of the clean ones
is not published: 100 epochs, divided by 10 after epochs 75 and 90. WRN-22-6 has CIFAR-10's
constants inside, as its authors' program has; that program puts them into WRN-70-16 too, which
was trained with CIFAR-100's: --config.teachers.robust.config.student.normalisation=cifar10.
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, '../setting.py')
KINDS = ('robust', 'clean')
NETWORKS = {
  ('cifar10', 'clean'): dict(name='resnet56'),
  ('cifar10', 'robust'): dict(name='wrn_34_10'),
  ('cifar100', 'clean'): dict(name='dm_wrn_22_6', normalisation='cifar10'),
  ('cifar100', 'robust'): dict(name='dm_wrn_70_16', normalisation='cifar100'),
}
COLUMNS = ('clean', 'fgsm', 'pgd_sat', 'pgd_trades', 'cw_inf', 'autoattack')
EXPECTED = {
  ('cifar10', 'clean'): (93.18, 19.23, 0.0, 0.0, 0.0),
  ('cifar10', 'robust'): (84.92, 60.87, 55.33, 56.61, 53.98, 53.08),
  ('cifar100', 'clean'): (76.65, 4.85, 0.0, 0.0, 0.0),
  ('cifar100', 'robust'): (60.86, 35.68, 33.56, 33.99, 31.05, 30.03),
}


def trades(config: configs.ConfigDict) -> None:
  """Trains as the TRADES script does."""
  config.method = dict(name='trades', beta=6.0)
  config.threat.eps = 0.031
  config.attack = dict(name='pgd', steps=10, step_size=0.007, start='gauss')
  config.epochs = 76
  config.schedule = dict(
    name='milestones', peak=0.1, milestones=(75, 90, 100), milestone_offset=0
  )


def natural(config: configs.ConfigDict) -> None:
  """Trains on clean images; the papers say no more of their clean teachers."""
  config.method = dict(name='natural')
  config.select.metric = 'clean'
  config.epochs = 100
  config.schedule = dict(name='milestones', peak=0.1, milestones=(75, 90))


def shrink(config: configs.ConfigDict) -> None:
  """The stages of ':smoke': of a tiny network nothing is expected."""
  config.epochs, config.batch_size = 1, 16
  config.student = dict(name='resnet8', width=8)
  config.expected = dict()


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, KINDS, ('cifar10', 'cifar100', 'smoke'))
  kind = configs.one_word(on.words, KINDS)
  config = SETTING.common(on)
  config.student = NETWORKS[on.data, kind]
  config.expected = dict(zip(COLUMNS, EXPECTED[on.data, kind]))
  (natural if kind == 'clean' else trades)(config)
  if on.smoke:
    shrink(config)
  return config
