"""AT-AKA: the search for alpha, which the paper makes and does not print.

Run:       jaxrkd study --name=ataka_alpha --workdir=runs/studies
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers_ataka.py')
Row, Figure = study.Row, study.Figure

# Of the distillation as a mean over ten classes; printed is the sum, ten times as much.
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
STUDY = study.Study(
  'AT-AKA',
  'Search for alpha',
  'Which weight of the distillation is the best under each rule?',
  P.ATAKA,
  [
    dataclasses.replace(
      row,
      changes={
        'method.alpha': row.at
        if rule == 'pareto'
        else row.at / (row.at + 10 * (1 - row.at))
      },
    )
    for short, rule in P.RULES.items()
    for row in study.sweep(
      'share {}',
      Row(f'({short})AT-AKA', f'at_aka:cifar10,paper,{rule}'),
      'method.alpha',
      SHARES,
    )
  ],
  P.ATAKA_COLUMNS,
  figures=[
    Figure(
      'Search for alpha',
      'sweep',
      ('Clean', 'PGD_trades-20', 'AA'),
      'share of the distillation',
    )
  ],
  deviations=(
    'The paper tunes alpha greedily by the best result, and names neither values nor result',
    P.WIDTH,
  ),
)
