"""MMARD, Figure 4: its inner problem and its outer loss, apart.

Run:       jaxrkd study --name=mmard_fig4 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mmard.py')
Row, Figure, Claim, Comparison, Cell = (
  study.Row,
  study.Figure,
  study.Claim,
  study.Comparison,
  study.Cell,
)

STUDY = study.Study(
  'MMARD',
  'Figure 4',
  'Which of the inner problem and the triangular relation brings the gain?',
  P.MMARD,
  [
    Row('A: MMARD', 'mmard:cifar10'),
    Row('B: inner problem of RSLAD', 'mmard:cifar10', {'inner.name': 'kl_teacher_clean'}),
    Row(
      'C: KL instead of the triangular relation', 'mmard:cifar10', {'method.alpha': 0.0}
    ),
  ],
  P.MMARD_COLUMNS,
  claims=[
    Claim(
      f'MMARD is more robust than without its {part}',
      (Comparison(Cell('A: MMARD', 'AA'), Cell(other, 'AA')),),
    )
    for part, other in (
      ('inner problem', 'B: inner problem of RSLAD'),
      ('triangular relation', 'C: KL instead of the triangular relation'),
    )
  ],
  figures=[Figure('Figure 4', 'bars', ('Clean', 'AA'))],
  deviations=('The paper prints no numbers of this figure',),
  public=S.PUBLIC,
)
