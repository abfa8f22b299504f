"""MTARD, Table 2: six methods on ResNet-18 under white-box attacks.

Run:       jaxrkd study --name=mtard_table2 --workdir=runs/studies
Smaller:   --scale=small, --scale=smoke
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers.py')
BLOCKS = P.blocks()
NAMES = [row.name for row in P.MTARD_ROWS]
WEIGHTED = [f'W {name}' for name in P.MTARD_ATTACKS]

STUDY = study.Study(
  'MTARD',
  'Table 2',
  'Which method gives a ResNet-18 the largest mean of clean and robust accuracy?',
  P.MTARD,
  study.over(BLOCKS, P.MTARD_ROWS),
  P.mtard_columns(P.MTARD_ATTACKS),
  printed='mtard_table2.csv',
  claims=P.best_of(
    dict(blocks=BLOCKS, columns=WEIGHTED), 'MTARD', NAMES, 'MTARD is the best in W-Robust'
  ),
)
