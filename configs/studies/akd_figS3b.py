"""AKD, Figure S3, right: label mixing with a large teacher of epoch 100.

Run:       jaxrkd study --name=akd_figS3b --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure S3b',
  'How much of the labels should a large teacher replace?',
  study.sweep(
    'alpha {}',
    Row('epoch 100', 'akd:cifar10,plain', P.at_plus_teacher('cifar10', epoch=100)),
    'method.alpha',
    (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
  ),
  figures=[Figure('Figure S3b', 'sweep', ('Clean', 'AA'), 'alpha')],
  claims=[
    S.larger(
      'Robustness is the largest with a high alpha',
      (('epoch 100, alpha 0.9', 'AA'), ('epoch 100, alpha 0.0', 'AA')),
      (('epoch 100, alpha 0.9', 'AA'), ('epoch 100, alpha 0.3', 'AA')),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
    *P.AT_PLUS_DEVIATIONS,
  ),
)
