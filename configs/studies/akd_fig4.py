"""AKD, Figure 4: how certain networks are of their training images.

Run:       jaxrkd study --name=akd_fig4 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers_akd.py')
ENTROPY = study.Recorded('entropy', split='train')

STUDY = P.akd_study(
  'Figure 4',
  'Does AKD make the student less certain of its predictions than its teacher?',
  P.akd_pair('Std', 'std') + P.akd_pair('AT', 'pgd7'),
  columns=[
    *P.AKD_COLUMNS[:2],
    study.Shown('Entropy of training images', ENTROPY),
  ],
  record=('train',),
  claims=[
    study.Claim(
      f'AKD forces the student to be less over-confident than its teacher: {name}',
      (
        study.Comparison(
          study.Cell(f'AKD-{name}', 'Entropy of training images'),
          study.Cell(name, 'Entropy of training images'),
        ),
      ),
    )
    for name in ('Std', 'AT')
  ],
  figures=[
    study.Figure(
      'Figure 4',
      'curves',
      recorded=(ENTROPY,),
      caption='Mean entropy of the predictions on all training images after every epoch, '
      'natural logarithm, without augmentation.',
    )
  ],
  deviations=(
    'The paper states neither alpha nor early stopping of this figure; here alpha is 1 and '
    'the teacher is trained to its end',
    'Std and AT are the teachers; the paper names no schedule',
  ),
)
