"""AT-AKA, Table 5: one to four teachers.

Run:       jaxrkd study --name=ataka_table5 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_ataka.py')
Row, Shown, Figure, Claim, Comparison, Cell = (
  study.Row,
  study.Shown,
  study.Figure,
  study.Claim,
  study.Comparison,
  study.Cell,
)

WHERE = S.blocks(tuple(S.DATA), ('ResNet-18', 'MobileNet-V2'))
NUMBERS = (1, 2, 3, 4)
ROWS = S.named(
  Row('Natural', 'natural', S.BY_CLEAN),
  *(
    Row(
      f'(S)AT-AKA_{n}',
      f'at_aka:paper,n{n}',
      at=float(n),
      line='AT-AKA',
      printed=dict(n_teachers=str(n)),
    )
    for n in NUMBERS
  ),
)
COUPLED = [
  Row(f'(S)AT-AKA_{n}, coupled', f'at_aka:coupled,n{n}', printed=P.UNPRINTED)
  for n in NUMBERS
]
STUDY = study.Study(
  'AT-AKA',
  'Table 5',
  'How many teachers does AT-AKA need?',
  P.ATAKA,
  study.over(WHERE, [*ROWS, *COUPLED]),
  [*P.ATAKA_COLUMNS, Shown('Epoch', 'seconds')],
  printed='ataka_table5.csv',
  figures=[
    Figure(
      f'Table 5, {block}',
      'sweep',
      ('Clean', 'PGD_trades-20', 'AA'),
      'teachers',
      tuple(f'{block}: (S)AT-AKA_{n}' for n in NUMBERS),
    )
    for block in WHERE
  ],
  claims=[
    Claim(
      f'three teachers are more robust than one: {block}',
      (
        Comparison(
          Cell(f'{block}: (S)AT-AKA_3', 'PGD_trades-20'),
          Cell(f'{block}: (S)AT-AKA_1', 'PGD_trades-20'),
        ),
      ),
    )
    for block in WHERE
  ],
  deviations=(P.WIDTH,),
)
