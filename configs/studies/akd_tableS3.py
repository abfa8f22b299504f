"""AKD, Table S3: the radius of the teacher, both settings, CIFAR-10.

Run:       jaxrkd study --name=akd_tableS3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers.py')
Row, Figure = study.Row, study.Figure

WORDS = {'0': 'std', '2/255': 'eps2', '8/255': 'eps8', '16/255': 'eps16'}
# Alpha of the printed lower rows; upper rows all have 0.5.
ALPHA = {'0': '0.6', '2/255': '0.6', '8/255': '0.75', '16/255': '0.75'}
STUDY = P.akd_study(
  'Table S3',
  'For which radius should the teacher be trained, with which settings?',
  [
    Row(
      f'teacher eps {eps}',
      f'akd:{P.DATA["CIFAR-10"]},{WORDS[eps]},{kind}',
      block=kind,
      at=255 * configs.number(eps),
      line=kind,
      printed=dict(
        teacher_eps=eps, alpha='0.5' if kind == 'conservative' else ALPHA[eps]
      ),
    )
    for kind in ('conservative', 'maximising')
    for eps in ('0', '2/255', '8/255', '16/255')
  ],
  'akd_tableS3.csv',
  seeds=(0, 1, 2, 3),
  figures=[Figure('Table S3', 'sweep', ('Clean', 'AA'), 'eps of the teacher, of 255')],
)
