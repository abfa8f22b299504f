"""AKD, Figure 3.

Run:       jaxrkd study --name=akd_fig3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure 3',
  'Which mixture of a standard and a robust teacher is best?',
  [
    Row(
      f'beta {beta}',
      'akd:cifar10,mix',
      {'teachers.std.weight': 1 - beta, 'teachers.pgd7.weight': beta},
      at=beta,
      line='Std and AT teacher',
    )
    for beta in (0.1, 0.3, 0.5, 0.7, 0.9)
  ]
  + [
    Row('beta 0', 'akd:cifar10,std', at=0.0, line='Std and AT teacher'),
    Row(
      'beta 1',
      'akd:cifar10,pgd7',
      at=1.0,
      line='Std and AT teacher',
    ),
  ],
  figures=[Figure('Figure 3', 'sweep', ('Clean', 'AA'), 'share of the robust teacher')],
  claims=[
    S.larger(
      'The share of the robust teacher trades clean accuracy for robustness',
      (('beta 0', 'Clean'), ('beta 1', 'Clean')),
      (('beta 1', 'AA'), ('beta 0', 'AA')),
    ),
    S.larger(
      'Mixtures lie between the two',
      (('beta 0', 'Clean'), ('beta 0.5', 'Clean')),
      (('beta 0.5', 'Clean'), ('beta 1', 'Clean')),
      (('beta 1', 'AA'), ('beta 0.5', 'AA')),
      (('beta 0.5', 'AA'), ('beta 0', 'AA')),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
