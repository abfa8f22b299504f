"""RobustBench's entries (Linf 8/255, and L2 0.5) whose networks are in `models.NETWORKS`.

By layout: data set, then the entry's id with its clean and robust accuracy in percent, as
RobustBench's leaderboard (version 1.1.1) has them; robust is AutoAttack or the worst case of
more attacks. Whether a WRN file has the unused `sub_block1` does not matter here.
"""

from typing import Any, NamedTuple

# Long decimals as RobustBench has them for networks of these authors.
RICE_CIFAR100 = dict(
  mean=(0.5070751592371323, 0.48654887331495095, 0.4409178433670343),
  std=(0.2673342858792401, 0.2564384629170883, 0.27615047132568404),
)
CHEN_CIFAR100 = dict(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))
AUGUSTIN = dict(
  mean=(0.4913997551666284, 0.48215855929893703, 0.4465309133731618),
  std=(0.24703225141799082, 0.24348516474564, 0.2615878392604963),
)
ENGSTROM = dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
CIFAR10 = dict(normalisation='cifar10')
CIFAR100 = dict(normalisation='cifar100')
HALF = dict(normalisation='half')


class Entry(NamedTuple):
  """Entries of one network.

  Attributes:
    data: 'cifar10' or 'cifar100'.
    network: the `student` group.
    accuracies: id -> (clean, robust) in percent.
    norm: 'Linf' or 'L2'.
  """

  data: str
  network: dict[str, Any]
  accuracies: dict[str, tuple[float, float]]
  norm: str = 'Linf'

  def recipe(self, name: str) -> str:
    """What the recipe of an entry is called: ids are used again for other norms."""
    return (
      f'{self.data}/{name}' if self.norm == 'Linf' else f'{self.data}/{self.norm}/{name}'
    )


ENTRIES = (
  Entry(
    'cifar10',
    dict(name='xcit_s12', patch=4, **CIFAR10),
    {'Debenedetti2022Light_XCiT-S12': (90.06, 56.14)},
  ),
  Entry(
    'cifar10',
    dict(name='xcit_m12', patch=4, **CIFAR10),
    {'Debenedetti2022Light_XCiT-M12': (91.30, 57.27)},
  ),
  Entry(
    'cifar10',
    dict(name='xcit_l12', patch=4, **CIFAR10),
    {'Debenedetti2022Light_XCiT-L12': (91.73, 57.58)},
  ),
  Entry(
    'cifar100',
    dict(name='xcit_s12', patch=4, **CIFAR100),
    {'Debenedetti2022Light_XCiT-S12': (67.34, 32.19)},
  ),
  Entry(
    'cifar100',
    dict(name='xcit_m12', patch=4, **CIFAR100),
    {'Debenedetti2022Light_XCiT-M12': (69.21, 34.21)},
  ),
  Entry(
    'cifar100',
    dict(name='xcit_l12', patch=4, **CIFAR100),
    {'Debenedetti2022Light_XCiT-L12': (70.76, 35.08)},
  ),
  Entry(
    'cifar10',
    dict(name='resnet18'),
    {
      'Addepalli2021Towards_RN18': (80.24, 51.06),
      'Addepalli2022Efficient_RN18': (85.71, 52.48),
      'Sehwag2021Proxy_R18': (84.59, 55.54),
    },
  ),
  Entry(
    'cifar10',
    dict(name='preact_resnet18', final_bn=False, shortcut_reads='raw', **CIFAR10),
    {'Wong2020Fast': (83.34, 43.21)},
  ),
  Entry(
    'cifar10',
    dict(name='preact_resnet18', final_bn=False, shortcut_reads='raw'),
    {'Andriushchenko2020Understanding': (79.84, 43.93)},
  ),
  Entry(
    'cifar10',
    dict(name='wrn_28_10'),
    {
      'Carmon2019Unlabeled': (89.69, 59.53),
      'Sehwag2020Hydra': (88.98, 57.14),
      'Sridhar2021Robust': (89.46, 59.66),
      'Standard': (94.78, 0.0),
      'Wang2020Improving': (87.50, 56.29),
      'Wu2020Adversarial_extra': (88.25, 60.04),
      'Zhang2020Geometry': (89.36, 59.64),
    },
  ),
  Entry(
    'cifar10', dict(name='wrn_28_10', **HALF), {'Hendrycks2019Using': (87.11, 54.92)}
  ),
  Entry(
    'cifar10',
    dict(name='wrn_34_10'),
    {
      'Addepalli2021Towards_WRN34': (85.32, 58.04),
      'Addepalli2022Efficient_WRN_34_10': (88.71, 57.81),
      'Chen2021LTD_WRN34_10': (85.21, 56.94),
      'Chen2024Data_WRN_34_10': (86.54, 57.30),
      'Cui2020Learnable_34_10': (88.22, 52.86),
      'Cui2023Decoupled_WRN-34-10': (85.31, 57.09),
      'Huang2020Self': (83.48, 53.34),
      'Jia2022LAS-AT_34_10': (84.98, 56.26),
      'Sehwag2021Proxy': (86.68, 60.27),
      'Sitawarin2020Improving': (86.84, 50.72),
      'Wu2020Adversarial': (85.36, 56.17),
      'Zhang2019Theoretically': (84.92, 53.08),
      'Zhang2019You': (87.20, 44.83),
      'Zhang2020Attacks': (84.52, 53.51),
    },
  ),
  Entry(
    'cifar10', dict(name='wrn_34_10', **CIFAR10), {'Chen2020Efficient': (85.32, 51.12)}
  ),
  Entry(
    'cifar10',
    dict(name='wrn', depth=34, width=15),
    {'Sridhar2021Robust_34_15': (86.53, 60.41)},
  ),
  Entry(
    'cifar10',
    dict(name='wrn_34_20'),
    {
      'Chen2021LTD_WRN34_20': (86.03, 57.71),
      'Chen2024Data_WRN_34_20': (86.10, 58.09),
      'Cui2020Learnable_34_20': (88.70, 53.57),
    },
  ),
  Entry(
    'cifar10', dict(name='wrn_34_20', **CIFAR10), {'Rice2020Overfitting': (85.34, 53.42)}
  ),
  Entry('cifar10', dict(name='wrn_70_16'), {'Jia2022LAS-AT_70_16': (85.66, 57.61)}),
  Entry(
    'cifar10',
    dict(name='dm_preact_resnet18', **CIFAR10),
    {
      'Gowal2021Improving_R18_ddpm_100m': (87.35, 58.50),
      'Rade2021Helper_R18_ddpm': (86.86, 57.09),
      'Rade2021Helper_R18_extra': (89.02, 57.67),
      'Rebuffi2021Fixing_R18_ddpm': (83.53, 56.66),
    },
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_28_10', **CIFAR10),
    {
      'Cui2023Decoupled_WRN-28-10': (92.16, 67.73),
      'Gowal2020Uncovering_28_10_extra': (89.48, 62.76),
      'Gowal2021Improving_28_10_ddpm_100m': (87.50, 63.38),
      'Pang2022Robustness_WRN28_10': (88.61, 61.04),
      'Rade2021Helper_ddpm': (88.16, 60.97),
      'Rebuffi2021Fixing_28_10_cutmix_ddpm': (87.33, 60.73),
      'Wang2023Better_WRN-28-10': (92.44, 67.31),
      'Xu2023Exploring_WRN-28-10': (93.69, 63.89),
    },
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_34_10', **CIFAR10),
    {'Rade2021Helper_extra': (91.47, 62.83)},
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_34_20', **CIFAR10),
    {'Gowal2020Uncovering_34_20': (85.64, 56.82)},
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_70_16', **CIFAR10),
    {
      'Gowal2020Uncovering_70_16': (85.29, 57.14),
      'Gowal2020Uncovering_70_16_extra': (91.10, 65.87),
      'Gowal2021Improving_70_16_ddpm_100m': (88.74, 66.10),
      'Pang2022Robustness_WRN70_16': (89.01, 63.35),
      'Rebuffi2021Fixing_70_16_cutmix_ddpm': (88.54, 64.20),
      'Rebuffi2021Fixing_70_16_cutmix_extra': (92.23, 66.56),
      'Wang2023Better_WRN-70-16': (93.25, 70.69),
    },
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn', depth=106, width=16, **CIFAR10),
    {'Rebuffi2021Fixing_106_16_cutmix_ddpm': (88.50, 64.58)},
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn', depth=82, width=8, **CIFAR10),
    {'Bartoldson2024Adversarial_WRN-82-8': (93.11, 71.59)},
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn', depth=94, width=16, **CIFAR10),
    {'Bartoldson2024Adversarial_WRN-94-16': (93.68, 73.71)},
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn', depth=94, width=16, mean_sparse=True, **CIFAR10),
    {'Amini2024MeanSparse_S-WRN-94-16': (93.63, 75.28)},
  ),
  Entry(
    'cifar10',
    dict(name='resnet50', **ENGSTROM),
    {'Engstrom2019Robustness': (87.03, 49.25)},
  ),
  Entry(
    'cifar100',
    dict(name='dm_wrn_70_16', mean_sparse=True, **CIFAR100),
    {'Amini2024MeanSparse_S-WRN-70-16': (75.17, 44.78)},
  ),
  Entry(
    'cifar100', dict(name='resnet18'), {'Addepalli2022Efficient_RN18': (65.45, 27.67)}
  ),
  Entry(
    'cifar100',
    dict(name='preact_resnet18'),
    {'Addepalli2021Towards_PARN18': (62.02, 27.14)},
  ),
  Entry(
    'cifar100',
    dict(name='preact_resnet18', **RICE_CIFAR100),
    {'Rice2020Overfitting': (53.83, 18.95)},
  ),
  Entry(
    'cifar100', dict(name='wrn_28_10', **HALF), {'Hendrycks2019Using': (59.23, 28.42)}
  ),
  Entry(
    'cifar100',
    dict(name='wrn_34_10'),
    {
      'Addepalli2021Towards_WRN34': (65.73, 30.35),
      'Addepalli2022Efficient_WRN_34_10': (68.75, 31.85),
      'Chen2021LTD_WRN34_10': (64.07, 30.59),
      'Chen2024Data_WRN_34_10': (64.32, 31.13),
      'Cui2020Learnable_34_10_LBGAT0': (70.25, 27.16),
      'Cui2020Learnable_34_10_LBGAT6': (60.64, 29.33),
      'Cui2020Learnable_34_10_LBGAT9_eps_8_255': (62.99, 31.20),
      'Cui2023Decoupled_WRN-34-10': (65.76, 31.91),
      'Cui2023Decoupled_WRN-34-10_autoaug': (65.93, 32.52),
      'Jia2022LAS-AT_34_10': (64.89, 30.77),
      'Sehwag2021Proxy': (65.93, 31.15),
      'Sitawarin2020Improving': (62.82, 24.57),
    },
  ),
  Entry(
    'cifar100',
    dict(name='wrn_34_10', **RICE_CIFAR100),
    {'Wu2020Adversarial': (60.38, 28.86)},
  ),
  Entry(
    'cifar100',
    dict(name='wrn_34_10', **CHEN_CIFAR100),
    {'Chen2020Efficient': (62.15, 26.94)},
  ),
  Entry(
    'cifar100',
    dict(name='wrn_34_20'),
    {
      'Cui2020Learnable_34_20_LBGAT6': (62.55, 30.20),
      'Jia2022LAS-AT_34_20': (67.31, 31.91),
    },
  ),
  Entry(
    'cifar100',
    dict(name='dm_preact_resnet18', **CIFAR100),
    {
      'Rade2021Helper_R18_ddpm': (61.50, 28.88),
      'Rebuffi2021Fixing_R18_ddpm': (56.87, 28.50),
    },
  ),
  Entry(
    'cifar100',
    dict(name='dm_wrn_28_10', **CIFAR100),
    {
      'Cui2023Decoupled_WRN-28-10': (73.85, 39.18),
      'Pang2022Robustness_WRN28_10': (63.66, 31.08),
      'Rebuffi2021Fixing_28_10_cutmix_ddpm': (62.41, 32.06),
      'Wang2023Better_WRN-28-10': (72.58, 38.77),
    },
  ),
  Entry(
    'cifar100',
    dict(name='dm_wrn_70_16', **CIFAR100),
    {
      'Gowal2020Uncovering': (60.86, 30.03),
      'Gowal2020Uncovering_extra': (69.15, 36.88),
      'Pang2022Robustness_WRN70_16': (65.56, 33.05),
      'Rebuffi2021Fixing_70_16_cutmix_ddpm': (63.56, 34.64),
      'Wang2023Better_WRN-70-16': (75.22, 42.66),
    },
  ),
)
L2_ENTRIES = (
  Entry(
    'cifar10',
    dict(name='resnet50', **AUGUSTIN),
    {'Augustin2020Adversarial': (91.08, 72.91)},
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='resnet50', **ENGSTROM),
    {'Engstrom2019Robustness': (90.83, 69.24)},
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_70_16', mean_sparse=True, **CIFAR10),
    {'Amini2024MeanSparse_S-WRN-70-16': (95.49, 87.28)},
    'L2',
  ),
  Entry('cifar10', dict(name='resnet18'), {'Sehwag2021Proxy_R18': (89.76, 74.41)}, 'L2'),
  Entry(
    'cifar10',
    dict(name='preact_resnet18', **CIFAR10),
    {'Rice2020Overfitting': (88.67, 67.68)},
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='wrn_28_10', mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262)),
    {'Rony2019Decoupling': (89.05, 66.44)},
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='wrn_34_10'),
    {'Sehwag2021Proxy': (90.93, 77.24), 'Wu2020Adversarial': (88.51, 73.66)},
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='wrn_34_10', **AUGUSTIN),
    {
      'Augustin2020Adversarial_34_10': (92.23, 76.25),
      'Augustin2020Adversarial_34_10_extra': (93.96, 78.79),
    },
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='dm_preact_resnet18', **CIFAR10),
    {
      'Rade2021Helper_R18_ddpm': (90.57, 76.15),
      'Rebuffi2021Fixing_R18_cutmix_ddpm': (90.33, 75.86),
    },
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_28_10', **CIFAR10),
    {
      'Rebuffi2021Fixing_28_10_cutmix_ddpm': (91.79, 78.80),
      'Wang2023Better_WRN-28-10': (95.16, 83.68),
    },
    'L2',
  ),
  Entry(
    'cifar10',
    dict(name='dm_wrn_70_16', **CIFAR10),
    {
      'Gowal2020Uncovering': (90.90, 74.50),
      'Gowal2020Uncovering_extra': (94.74, 80.53),
      'Rebuffi2021Fixing_70_16_cutmix_ddpm': (92.41, 80.42),
      'Rebuffi2021Fixing_70_16_cutmix_extra': (95.74, 82.32),
      'Wang2023Better_WRN-70-16': (95.54, 84.97),
    },
    'L2',
  ),
)
# Their authors measure at 0.031 instead of 8/255.
OLD_EPS = (
  'cifar10/Zhang2019Theoretically',
  'cifar10/Cui2020Learnable_34_20',
  'cifar100/Cui2020Learnable_34_10_LBGAT6',
)
