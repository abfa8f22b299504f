"""AKD, Table S2: conservative and maximising settings on CIFAR-100.

Run:       jaxrkd study --name=akd_tableS2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers.py')
Row, Shown = study.Row, study.Shown

TRAININGS = {'Std.': 'std', 'AT_FFGSM': 'ffgsm', 'AT_PGD-7': 'pgd7'}
STUDY = P.akd_study(
  'Table S2',
  'Which early stopping, which label mixing, and how many teachers?',
  [
    Row(
      f'{training}, {count} model{"s" if count == "4" else ""}',
      f'akd:{P.DATA["CIFAR-100"]},{words},{kind}{",en" if count == "4" else ""}',
      block=kind,
      printed=dict(row=kind, teacher_training=training, n_teachers=count),
    )
    for kind in ('conservative', 'maximising')
    for training, words in TRAININGS.items()
    for count in ('1', '4')
  ],
  'akd_tableS2.csv',
  [P.AKD_COLUMNS[0], Shown('AA', 'autoattack', dict(attack_or_metric='AutoAttack'))],
)
