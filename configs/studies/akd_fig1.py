"""AKD, Figure 1.

Run:       jaxrkd study --name=akd_fig1 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure 1',
  'When should the training of the teacher stop?',
  [
    *study.sweep(
      'teacher of epoch {}',
      Row('AT teacher', 'akd:cifar10,pgd7,plain', {}),
      'teachers.pgd7.epoch',
      tuple(range(5, 51, 5)),
    )
  ],
  figures=[Figure('Figure 1', 'sweep', ('Clean', 'AA'), 'epoch of the teacher')],
  claims=[
    S.larger(
      'Robustness is the largest where the teacher stops early',
      (
        ('AT teacher, teacher of epoch 30', 'AA'),
        ('AT teacher, teacher of epoch 50', 'AA'),
      ),
    ),
    S.larger(
      'An early-stopped teacher costs clean accuracy',
      (
        ('AT teacher, teacher of epoch 50', 'Clean'),
        ('AT teacher, teacher of epoch 10', 'Clean'),
      ),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
