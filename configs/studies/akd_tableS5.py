"""AKD, Table S5: a teacher, and an ensemble of four.

Run:       jaxrkd study --name=akd_tableS5 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Shown = study.Row, study.Shown

STUDY = P.akd_study(
  'Table S5',
  'Is an ensemble of four more robust than one network?',
  [
    Row(
      'ResNet-18 (AT)',
      'teachers/akd:cifar10,pgd7',
      printed=dict(method='ResNet-18 (AT)'),
    ),
    Row(
      'Ensemble of 4 ResNet-18 (AT)',
      'teachers/akd:cifar10,pgd7',
      {'members': 4},
      printed=dict(method='Ensemble of 4 ResNet-18 (AT)'),
    ),
  ],
  'akd_tableS5.csv',
  [
    P.AKD_COLUMNS[0],
    Shown('PGD-7', 'pgd_7', dict(attack_or_metric='PGD-7')),
    Shown('AA', 'autoattack', dict(attack_or_metric='AutoAttack (text only)')),
  ],
  claims=[
    S.larger(
      'The ensemble is neither more accurate nor more robust under PGD-7',
      (('ResNet-18 (AT)', 'Clean'), ('Ensemble of 4 ResNet-18 (AT)', 'Clean')),
      (('ResNet-18 (AT)', 'PGD-7'), ('Ensemble of 4 ResNet-18 (AT)', 'PGD-7')),
    ),
  ],
)
