"""AKD, Table 1: the student alone, and with two kinds of teachers.

Run:       jaxrkd study --name=akd_table1 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Claim, Comparison, Cell = study.Row, study.Claim, study.Comparison, study.Cell


def row(name, data, words, **printed):
  """A row of one data set."""
  return Row(
    name,
    f'akd:{S.DATA[data]},{words}',
    block=data,
    printed=dict(dataset=data, **printed),
  )


def wide(name, data, changes, **printed):
  """A row with the WRN-28-10-swish of AT+, whose average is shown."""
  return Row(
    name,
    f'akd:{S.DATA[data]},plain,at_plus,dm_wrn_28_10,raw',
    {**P.AT_PLUS, **P.at_plus_teacher(S.DATA[data]), **changes},
    block=data,
    checkpoint='ema',
    printed=dict(dataset=data, **printed),
  )


ROWS = []
for data in S.DATA:
  std = 'std' if data == 'CIFAR-10' else 'std,maximising'
  ROWS += [
    row('ResNet-18, AT', data, 'at', method='no distillation', student='ResNet-18 (AT)'),
    row('ResNet-18, AKD from Std', data, std, method='AKD', teacher='ResNet-18 (Std.)'),
    row(
      'ResNet-18, AKD from AT',
      data,
      'pgd7,maximising',
      method='AKD',
      teacher='ResNet-18 (AT)',
    ),
    Row(
      'WRN-28-10, AT+',
      f'teachers/at_plus:{S.DATA[data]}',
      P.AT_PLUS,
      block=data,
      checkpoint='ema',
      printed=dict(
        dataset=data, method='no distillation', student='WRN-28-10-swish (AT+)'
      ),
    ),
    wide(
      'WRN-28-10, AKD from AT+',
      data,
      {'method.alpha': 0.8},
      method='AKD',
      teacher='WRN-28-10-swish (AT+)',
    ),
  ]

STUDY = P.akd_study(
  'Table 1',
  'Does a student become more accurate and more robust from a teacher of its own kind?',
  ROWS,
  'akd_table1.csv',
  claims=[
    Claim(
      f'AKD from AT is more robust than AT alone: {data}',
      (
        Comparison(
          Cell(f'{data}: ResNet-18, AKD from AT', 'AA'),
          Cell(f'{data}: ResNet-18, AT', 'AA'),
        ),
      ),
    )
    for data in S.DATA
  ],
  deviations=P.AT_PLUS_DEVIATIONS,
)
