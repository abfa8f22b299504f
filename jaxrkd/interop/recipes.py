"""Public teachers by name: the network, what must stand inside it, and what it can do.

A recipe is what a file of weights does not say: activation, normalisation, data, and the
accuracies that its authors or the four papers report, by which a wrong file is noticed.
"""

from typing import Any, NamedTuple

from jaxrkd.commands import command
from jaxrkd.errors import InputError, nearest
from jaxrkd.interop.robustbench import ENTRIES, L2_ENTRIES, OLD_EPS
from jaxrkd.interop.robustbench_files import address

EIGHT = 8 / 255
# Of RobustBench's leaderboards.
RADII = {'Linf': EIGHT, 'L2': 0.5}


class Recipe(NamedTuple):
  """A teacher that exists as a public file.

  Attributes:
    network: the `student` group of a config.
    data: 'cifar10' or 'cifar100'.
    expected: accuracies in percent on all 10,000 test images, by column, and 'clean'.
    source: where the file comes from, in words: repositories move.
    eps: of the accuracies under attack, in [0, 1] pixels.
    kind: 'robust' or 'clean'.
    norm: of the ball, a folder of RobustBench: 'Linf' or 'L2'.
    stems: names of the file without its ending, beside that of the recipe.
    url: where it can be downloaded; empty where no address is known that stays.
    sha256: the beginning of its published checksum; empty where none is published.
  """

  network: dict[str, Any]
  data: str
  expected: dict[str, float]
  source: str
  eps: float = EIGHT
  kind: str = 'robust'
  norm: str = 'Linf'
  stems: tuple[str, ...] = ()
  url: str = ''
  sha256: str = ''

  @property
  def classes(self) -> int:
    return {'cifar10': 10, 'cifar100': 100}[self.data]


# The place that its README names.
AKAMASTER = (
  'https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models'
)
DEEPMIND = 'https://storage.googleapis.com/dm-adversarial-robustness'


def _deepmind(
  data: str, size: str, clean: float, autoattack: float, name: str
) -> dict[str, Recipe]:
  network = dict(name=f'dm_wrn_{size}', normalisation=data)
  source = (
    f'{name}.pt or .npy of google-deepmind/deepmind-research, adversarial_robustness'
  )
  short = name.partition('_linf_')[2].replace('-', '_').replace('wrn', 'wrn_')
  expected = dict(clean=clean, autoattack=autoattack)
  made = Recipe(
    network, data, expected, source, stems=(name,), url=f'{DEEPMIND}/{name}.pt'
  )
  return {f'deepmind_{data}_{short}': made}


TRADES = dict(
  clean=84.92, fgsm=60.87, pgd_sat=55.33, pgd_trades=56.61, cw_inf=53.98, autoattack=53.08
)
RECIPES: dict[str, Recipe] = {
  # MMARD, Table 2 (MTARD, Table 1, has 84.91, 61.14, 55.30, 56.61, 53.84).
  'trades_wrn_34_10': Recipe(
    dict(name='wrn_34_10'),
    'cifar10',
    TRADES,
    'model_cifar_wrn.pt of yaodongyu/TRADES',
    eps=0.031,
    stems=('model_cifar_wrn',),
  ),
  # The teacher of RSLAD, MTARD and MMARD on CIFAR-100. Their code has CIFAR-10's constants
  # in it (60.96 in MTARD, Table 1): student.normalisation=cifar10.
  'deepmind_cifar100_wrn_70_16_without': Recipe(
    dict(name='dm_wrn_70_16', normalisation='cifar100'),
    'cifar100',
    dict(clean=60.86, fgsm=35.68, pgd_sat=33.56, pgd_trades=33.99, cw_inf=31.05)
    | dict(autoattack=30.03),
    'cifar100_linf_wrn70-16_without.pt or .npy of google-deepmind/deepmind-research, '
    'adversarial_robustness',
    stems=('cifar100_linf_wrn70-16_without',),
    url=f'{DEEPMIND}/cifar100_linf_wrn70-16_without.pt',
  ),
  **_deepmind('cifar10', '70_16', 91.10, 65.88, 'cifar10_linf_wrn70-16_with'),
  **_deepmind('cifar10', '28_10', 89.48, 62.80, 'cifar10_linf_wrn28-10_with'),
  **_deepmind('cifar10', '70_16', 85.29, 57.20, 'cifar10_linf_wrn70-16_without'),
  **_deepmind('cifar10', '34_20', 85.64, 56.86, 'cifar10_linf_wrn34-20_without'),
  **_deepmind('cifar10', '70_16', 88.54, 64.25, 'cifar10_linf_wrn70-16_cutmix_ddpm_v2'),
  **_deepmind('cifar10', '28_10', 87.33, 60.75, 'cifar10_linf_wrn28-10_cutmix_ddpm_v2'),
  **_deepmind('cifar100', '70_16', 69.15, 36.88, 'cifar100_linf_wrn70-16_with'),
  **_deepmind('cifar100', '70_16', 63.56, 34.64, 'cifar100_linf_wrn70-16_cutmix_ddpm'),
  **_deepmind('cifar100', '28_10', 62.41, 32.06, 'cifar100_linf_wrn28-10_cutmix_ddpm'),
  # MTARD, Table 1.
  'mtard_resnet56': Recipe(
    dict(name='resnet56'),
    'cifar10',
    dict(clean=93.18, fgsm=19.23, pgd_sat=0.0, pgd_trades=0.0, cw_inf=0.0),
    'the CIFAR-10 clean teacher that zhaoshiji123/MTARD links',
    kind='clean',
  ),
  'mtard_wrn_22_6': Recipe(
    dict(name='dm_wrn_22_6', normalisation='cifar10'),
    'cifar100',
    dict(clean=76.65, fgsm=4.85, pgd_sat=0.0, pgd_trades=0.0, cw_inf=0.0),
    'the CIFAR-100 clean teacher that zhaoshiji123/MTARD links',
    kind='clean',
  ),
  # Clean accuracies as their authors publish them; the names of the files end in the
  # beginning of their checksum.
  **{
    f'akamaster_resnet{depth}': Recipe(
      dict(name=f'resnet{depth}', shortcut='padding', normalisation='imagenet'),
      'cifar10',
      dict(clean=clean),
      f'resnet{depth}-{sha256}.th of akamaster/pytorch_resnet_cifar10',
      kind='clean',
      stems=(f'resnet{depth}-{sha256}',),
      url=f'{AKAMASTER}/resnet{depth}-{sha256}.th',
      sha256=sha256,
    )
    for depth, sha256, clean in (
      (20, '12fca82f', 91.73),
      (32, 'd509ac18', 92.63),
      (44, '014dd654', 93.10),
      (56, '4bfd9763', 93.39),
    )
  },
  **{
    entry.recipe(name): Recipe(
      dict(entry.network),
      entry.data,
      dict(clean=clean, autoattack=robust),
      'RobustBench',
      eps=0.031 if entry.recipe(name) in OLD_EPS else RADII[entry.norm],
      kind='clean' if name == 'Standard' else 'robust',
      norm=entry.norm,
      url=address(entry.data, entry.norm, name),
    )
    for entry in (*ENTRIES, *L2_ENTRIES)
    for name, (clean, robust) in entry.accuracies.items()
  },
}
# MMARD, Table 2, measured these entries with its own attacks.
for _name, _columns in {
  'cifar10/Addepalli2021Towards_RN18': (59.76, 56.27, 57.27, 52.05),
  'cifar10/Zhang2019Theoretically': (60.87, 55.33, 56.61, 53.98),
  'cifar10/Cui2020Learnable_34_20': (63.26, 55.91, 57.74, 54.76),
  'cifar10/Jia2022LAS-AT_70_16': (64.80, 61.09, 62.39, 58.52),
}.items():
  RECIPES[_name].expected.update(
    zip(('fgsm', 'pgd_sat', 'pgd_trades', 'cw_inf'), _columns)
  )


def recipe(name: str) -> Recipe:
  """A row of `RECIPES`.

  Raises:
    InputError: no such name; says which is nearest.
  """
  if name not in RECIPES:
    own = [known for known in RECIPES if '/' not in known]
    raise InputError(
      f'unknown recipe {name!r}{nearest(name, RECIPES)} (known: {", ".join(own)}, and the '
      f'{len(RECIPES) - len(own)} entries of RobustBench as cifar10/ID and cifar100/ID; '
      f'{command("convert")} --list shows all)'
    )
  return RECIPES[name]
