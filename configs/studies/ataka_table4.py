"""AT-AKA, Table 4: CAT-AKA against ensembles of SAT, TRADES and MART, with Fog.

Run:       jaxrkd study --name=ataka_table4 --workdir=runs/studies
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_ataka.py')
Row, Shown = study.Row, study.Shown

WHERE = S.blocks(tuple(S.DATA), ('ResNet-18', 'WRN-34-10'))
FOGS = (64, 128, 256, 512)
STUDENTS = (1, 2, 3)
ROWS = S.named(
  Row('en-SAT', 'sat:en,table4'),
  Row('en-TRADES', 'trades:en,table4'),
  Row('en-MART', 'mart:en,table4'),
  # Three networks of one training.
  *(Row(f'(S)CAT-AKA-S{k}', 'cat_aka:paper', network=f'student_{k}') for k in STUDENTS),
)
STUDY = study.Study(
  'AT-AKA',
  'Table 4',
  'Do students without any teacher become robust by learning from their amalgam?',
  dataclasses.replace(
    P.ATAKA,
    attacks=dict(
      fgsm={},
      pgd_trades={},
      cw_inf={},
      **{f'fog_{k}': dict(name='fog', strength=float(k)) for k in FOGS},
    ),
  ),
  study.over(WHERE, ROWS),
  [
    *P.ATAKA_COLUMNS[:3],
    Shown('CW', 'cw_inf', dict(attack_or_metric='CW')),
    *(Shown(f'Fog {k}', f'fog_{k}', dict(attack_or_metric='Fog')) for k in FOGS),
  ],
  printed='ataka_table4.csv',
  claims=S.best_of(
    WHERE,
    ['PGD_trades-20'],
    '(S)CAT-AKA-S1',
    ['en-SAT', 'en-TRADES', 'en-MART'],
    'CAT-AKA is more robust than the ensembles',
  ),
  deviations=(
    'The paper names no strength of Fog: four are measured, each beside its one number',
    P.WIDTH,
  ),
)
