"""AKD, Figure 2.

Run:       jaxrkd study --name=akd_fig2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure 2',
  'How much of the labels should the teacher replace?',
  [
    *study.sweep(
      'alpha {}',
      Row('Std teacher, epoch 20', 'akd:cifar10,std', {}),
      'method.alpha',
      (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    ),
    *study.sweep(
      'alpha {}',
      Row('AT teacher, epoch 30', 'akd:cifar10,pgd7,maximising', {}),
      'method.alpha',
      (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    ),
  ],
  figures=[Figure('Figure 2', 'sweep', ('Clean', 'AA'), 'alpha')],
  claims=[
    S.larger(
      'Label mixing avoids that a standard teacher makes the student weak',
      (
        ('Std teacher, epoch 20, alpha 0.5', 'AA'),
        ('Std teacher, epoch 20, alpha 1.0', 'AA'),
      ),
    ),
    S.larger(
      'A standard teacher gives clean accuracy',
      (
        ('Std teacher, epoch 20, alpha 0.5', 'Clean'),
        ('Std teacher, epoch 20, alpha 0.0', 'Clean'),
      ),
    ),
    S.larger(
      'With a robust teacher a high alpha is the most robust',
      (
        ('AT teacher, epoch 30, alpha 0.7', 'AA'),
        ('AT teacher, epoch 30, alpha 0.0', 'AA'),
      ),
      (
        ('AT teacher, epoch 30, alpha 0.7', 'AA'),
        ('AT teacher, epoch 30, alpha 0.3', 'AA'),
      ),
    ),
    S.larger(
      'Some of the labels is still better than none',
      (
        ('AT teacher, epoch 30, alpha 0.7', 'AA'),
        ('AT teacher, epoch 30, alpha 1.0', 'AA'),
      ),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
