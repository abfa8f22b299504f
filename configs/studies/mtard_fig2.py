"""MTARD, Figures 2 to 4: what two teachers and the adaptive loss add.

Run:       jaxrkd study --name=mtard_fig2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mtard.py')
Row, Figure, Claim, Comparison, Cell = (
  study.Row,
  study.Figure,
  study.Claim,
  study.Comparison,
  study.Cell,
)

ROWS = [
  # The one teacher that the method then asks is the only one that is trained.
  Row('Baseline', 'mtard:cifar10', {'method.teachers': 'adv_only'}),
  Row('Baseline+MT', 'mtard:cifar10', {'method.anl': False}),
  Row('Baseline+MT+ANL', 'mtard:cifar10'),
]
WEIGHTED = [f'W {name}' for name in P.MTARD_ATTACKS]
BOTH = ('Baseline+MT', 'Baseline+MT+ANL')

STUDY = study.Study(
  'MTARD',
  'Figures 2 to 4',
  'What do a second teacher and the adaptive normalization loss add?',
  P.MTARD,
  ROWS,
  P.mtard_columns(P.MTARD_ATTACKS),
  claims=[
    Claim(
      f'{more} is better than {less} in {title}',
      (Comparison(Cell(more, title), Cell(less, title)),),
    )
    for title in WEIGHTED
    for more, less in (
      ('Baseline+MT+ANL', 'Baseline'),
      ('Baseline+MT+ANL', 'Baseline+MT'),
    )
  ],
  figures=[
    Figure('Figure 2', 'bars', ('Clean', *P.MTARD_ATTACKS, *WEIGHTED)),
    Figure('Figure 3', 'curves', ('loss',), 'epoch', caption='The total loss by epoch.'),
    Figure(
      'Figure 3, end',
      'curves',
      ('loss',),
      'epoch',
      last=0.2,
      caption='The same, the last fifth of the epochs.',
    ),
    Figure(
      'Figure 4',
      'curves',
      ('relative_adv', 'relative_nat'),
      'epoch',
      BOTH,
      caption='The relative losses of the adversarial and the clean teacher by epoch.',
    ),
  ],
  deviations=(
    'The paper prints no numbers of these figures, and names no metric of Figure 2',
  ),
  public=S.PUBLIC,
)
