"""AKD, Figure S2.

Run:       jaxrkd study --name=akd_figS2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

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
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
