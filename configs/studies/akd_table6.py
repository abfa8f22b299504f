"""AKD, Table 6: on top of AT+, WRN-28-10-swish.

Run:       jaxrkd study --name=akd_table6 --workdir=runs/studies
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Shown, Claim, Comparison, Cell = (
  study.Row,
  study.Shown,
  study.Claim,
  study.Comparison,
  study.Cell,
)

ROWS = []
for data, word in S.DATA.items():
  shown = dict(block=data, checkpoint='ema')
  common = {**P.AT_PLUS, **P.at_plus_teacher(word)}
  student = f'akd:{word},plain,at_plus,dm_wrn_28_10,raw'
  ROWS += [
    Row(
      'AT+',
      f'teachers/at_plus:{word}',
      P.AT_PLUS,
      printed=dict(dataset=data, method='AT+'),
      **shown,
    ),
    Row(
      'AKD, alpha 1',
      student,
      common,
      printed=dict(dataset=data, method='AKD', alpha='1.0', early_stop='No'),
      **shown,
    ),
    *(
      [
        Row(
          'AKD, alpha 1, teacher of epoch 100',
          student,
          {**P.AT_PLUS, **P.at_plus_teacher(word, epoch=100)},
          printed=dict(dataset=data, method='AKD', alpha='1.0', early_stop='ep. 100'),
          **shown,
        )
      ]
      if data == 'CIFAR-10'
      else []
    ),
    Row(
      'AKD, alpha 0.8',
      student,
      {**common, 'method.alpha': 0.8},
      printed=dict(dataset=data, method='AKD', alpha='0.8'),
      **shown,
    ),
  ]

STUDY = study.Study(
  'AKD',
  'Table 6',
  'Does AKD help where much larger networks and more data are used?',
  dataclasses.replace(
    P.AKD,
    attacks=dict(pgd_20=dict(name='pgd', steps=20), autoattack={}),
    checkpoint='ema',
  ),
  ROWS,
  [
    Shown('Clean', 'clean', dict(attack_or_metric='Clean')),
    Shown('PGD-20', 'pgd_20', dict(attack_or_metric='PGD-20')),
    Shown('AA', 'autoattack', dict(attack_or_metric='AutoAttack')),
  ],
  printed='akd_table6.csv',
  claims=[
    Claim(
      f'AKD with alpha 0.8 is more robust than AT+: {data}',
      (Comparison(Cell(f'{data}: AKD, alpha 0.8', 'AA'), Cell(f'{data}: AT+', 'AA')),),
    )
    for data in S.DATA
  ],
  deviations=P.AT_PLUS_DEVIATIONS,
)
