"""AT-AKA, Table 2: AT-AKA by four rules against natural training and en- baselines.

Run:       jaxrkd study --name=ataka_table2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_ataka.py')
Row = study.Row

WHERE = S.blocks(tuple(S.DATA), ('ResNet-18', 'MobileNet-V2'))
OURS = {f'({short})AT-AKA': rule for short, rule in P.RULES.items()}
ROWS = S.named(
  Row('Natural', 'natural', S.BY_CLEAN),
  Row('en-SAT', 'sat:en'),
  Row('en-ARD', 'ard:en'),
  Row('en-IAD', 'iad_1:en'),
  Row('en-RSLAD', 'rslad:en'),
  *(Row(name, f'at_aka:paper,{rule}') for name, rule in OURS.items()),
)
# At the printed width every particle is on its own; at the median's they repel.
COUPLED = [
  Row(f'{name}, coupled', f'at_aka:coupled,{rule}', printed=P.UNPRINTED)
  for name, rule in OURS.items()
]
STUDY = study.Study(
  'AT-AKA',
  'Table 2',
  'Do teachers that are trained along, and amalgamated, teach more robustness?',
  P.ATAKA,
  study.over(WHERE, [*ROWS, *COUPLED]),
  P.ATAKA_COLUMNS,
  printed='ataka_table2.csv',
  claims=S.best_of(
    WHERE,
    ['PGD_trades-20', 'AA'],
    '(S)AT-AKA',
    ['en-SAT', 'en-ARD', 'en-IAD', 'en-RSLAD'],
    '(S)AT-AKA is more robust than the baselines',
  ),
  deviations=(P.WIDTH,),
)
