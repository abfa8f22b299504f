"""What the studies of MMARD share: how it measures, its rows.

The settings and their sources: docs/methods.md, "Paper and code".
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
Row, Shown, Protocol = study.Row, study.Shown, study.Protocol
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell

MMARD_PUBLIC = {
  'teachers/mmard:resnet18': 'cifar10/Addepalli2021Towards_RN18',
  'teachers/mmard:wrn_34_10': 'cifar10/Zhang2019Theoretically',
  'teachers/mmard:wrn_34_20': 'cifar10/Cui2020Learnable_34_20',
  'teachers/mmard:wrn_70_16': 'cifar10/Jia2022LAS-AT_70_16',
}


# MMARD: best PGD_T of all methods, on the test set; CW with 20 steps.
MMARD = Protocol(
  'MMARD',
  dict(fgsm={}, pgd_sat={}, pgd_trades={}, cw_inf=dict(steps=20), autoattack={}),
  select=dict(metric='robust', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'Every method shows the checkpoint of the largest PGD_T on the test set (section 5.1); '
    'Nature that of the largest clean accuracy',
    'CW takes 20 steps',
    'AutoAttack is its standard version',
  ),
)
MMARD_COLUMNS = [
  Shown('Clean', 'clean', dict(attack_or_metric='Clean')),
  Shown('FGSM', 'fgsm', dict(attack_or_metric='FGSM')),
  Shown('PGD_S', 'pgd_sat', dict(attack_or_metric='PGD_S')),
  Shown('PGD_T', 'pgd_trades', dict(attack_or_metric='PGD_T')),
  Shown('CW', 'cw_inf', dict(attack_or_metric='CW')),
  Shown('AA', 'autoattack', dict(attack_or_metric='AA')),
]
MMARD_ARD = {'method.alpha': 1.0, 'method.temperature': 30.0, 'batch_size': 128}
MMARD_ROWS = S.named(
  Row('Nature', 'natural', S.BY_CLEAN),
  Row('SAT', 'sat'),
  Row('TRADES', 'trades'),
  Row('ARD', 'ard', MMARD_ARD),
  Row('IAD', 'iad_1'),
  Row('RSLAD', 'rslad'),
  Row('MTARD', 'mtard'),
  Row('MMARD', 'mmard'),
)


def mmard_study(item, file, data, gains):
  """Tables 3 and 4: one data set, two students."""
  where = S.blocks((data,), ('ResNet-18', 'MobileNet-V2'))
  rows = [row.name for row in MMARD_ROWS]
  claims = [
    Claim(
      f'MMARD is more robust than RSLAD (the paper gains {gain} points of AA): {block}',
      (Comparison(Cell(f'{block}: MMARD', 'AA'), Cell(f'{block}: RSLAD', 'AA')),),
    )
    for block, gain in zip(where, gains)
  ]
  return study.Study(
    'MMARD',
    item,
    f'Which method gives students of {data} the largest accuracy under AutoAttack?',
    MMARD,
    study.over(where, MMARD_ROWS),
    MMARD_COLUMNS,
    printed=file,
    claims=[
      *claims,
      *S.best_of(where, ['AA'], 'MMARD', rows, 'MMARD is the most robust'),
    ],
    deviations=(
      'IAD is IAD-I; the paper copies the numbers of MTARD, here it is trained',
    ),
    public=S.PUBLIC,
  )
