"""MMARD, Table 7: the weight of its triangular relation.

Run:       jaxrkd study --name=mmard_table7 --workdir=runs/studies
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mmard.py')
Row, Figure = study.Row, study.Figure

STUDY = study.Study(
  'MMARD',
  'Table 7',
  'How much weight should the triangular relation get?',
  P.MMARD,
  [
    dataclasses.replace(row, printed=dict(alpha=f'{row.at:g}'))
    for row in study.sweep(
      'alpha {}', Row('', 'mmard:cifar10'), 'method.alpha', (0.0, 0.5, 1.0, 2.0)
    )
  ],
  P.MMARD_COLUMNS,
  printed='mmard_table7.csv',
  claims=[
    S.larger(
      'The triangular relation helps clean and robust accuracy',
      (('alpha 1.0', 'Clean'), ('alpha 0.0', 'Clean')),
      (('alpha 1.0', 'AA'), ('alpha 0.0', 'AA')),
    ),
  ],
  figures=[Figure('Table 7', 'sweep', ('Clean', 'AA'), 'alpha')],
  public=S.PUBLIC,
)
