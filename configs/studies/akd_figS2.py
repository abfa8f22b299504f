"""AKD, Figure S2.

Run:       jaxrkd study --name=akd_figS2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure S2',
  'How much of the labels should the teacher of RSLAD replace?',
  [
    *study.sweep(
      'alpha {}',
      Row('Std teacher, epoch 20', 'akd:cifar10,std,rslad', {}),
      'method.alpha',
      (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    ),
    *study.sweep(
      'alpha {}',
      Row('AT teacher, epoch 30', 'akd:cifar10,rslad', {}),
      'method.alpha',
      (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    ),
  ],
  figures=[Figure('Figure S2', 'sweep', ('Clean', 'AA'), 'alpha')],
  claims=[
    S.larger(
      'A standard teacher alone does not take all robustness',
      (('Std teacher, epoch 20, alpha 1.0', 'AA'), 10.0),
    ),
    S.larger(
      'The labels increase accuracy',
      (
        ('Std teacher, epoch 20, alpha 0.0', 'Clean'),
        ('Std teacher, epoch 20, alpha 1.0', 'Clean'),
      ),
      (
        ('AT teacher, epoch 30, alpha 0.0', 'Clean'),
        ('AT teacher, epoch 30, alpha 1.0', 'Clean'),
      ),
    ),
    S.larger(
      'The teacher increases robustness',
      (
        ('Std teacher, epoch 20, alpha 1.0', 'AA'),
        ('Std teacher, epoch 20, alpha 0.0', 'AA'),
      ),
      (
        ('AT teacher, epoch 30, alpha 1.0', 'AA'),
        ('AT teacher, epoch 30, alpha 0.0', 'AA'),
      ),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
