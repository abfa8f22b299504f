"""AKD, Figure S3.

Run:       jaxrkd study --name=akd_figS3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure S3',
  'Does a large teacher that was stopped early compress better?',
  [
    *study.sweep(
      'teacher of epoch {}',
      Row('alpha 1', 'akd:cifar10,plain', P.at_plus_teacher('cifar10')),
      'teachers.at_plus.epoch',
      tuple(range(50, 401, 50)),
    )
  ],
  figures=[Figure('Figure S3', 'sweep', ('Clean', 'AA'), 'epoch of the teacher')],
  claims=[
    S.larger(
      'Robustness is the largest where the teacher stops early',
      (('alpha 1, teacher of epoch 100', 'AA'), ('alpha 1, teacher of epoch 400', 'AA')),
    ),
    S.larger(
      'An early-stopped teacher costs clean accuracy',
      (
        ('alpha 1, teacher of epoch 400', 'Clean'),
        ('alpha 1, teacher of epoch 100', 'Clean'),
      ),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
