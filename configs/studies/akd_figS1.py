"""AKD, Figure S1.

Run:       jaxrkd study --name=akd_figS1 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Figure = study.Row, study.Figure

STUDY = P.akd_study(
  'Figure S1',
  'When should the teacher of RSLAD stop?',
  [
    *study.sweep(
      'teacher of epoch {}',
      Row('Std teacher', 'akd:cifar10,std,rslad,plain', {}),
      'teachers.std.epoch',
      tuple(range(5, 51, 5)),
    ),
    *study.sweep(
      'teacher of epoch {}',
      Row('AT teacher', 'akd:cifar10,rslad,plain', {}),
      'teachers.pgd7.epoch',
      tuple(range(5, 51, 5)),
    ),
  ],
  figures=[Figure('Figure S1', 'sweep', ('Clean', 'AA'), 'epoch of the teacher')],
  claims=[
    S.larger(
      'Robustness is the largest where the standard teacher stops early',
      (
        ('Std teacher, teacher of epoch 20', 'AA'),
        ('Std teacher, teacher of epoch 50', 'AA'),
      ),
    ),
    S.larger(
      'Robustness is the largest where the robust teacher stops early',
      (
        ('AT teacher, teacher of epoch 30', 'AA'),
        ('AT teacher, teacher of epoch 50', 'AA'),
      ),
    ),
  ],
  deviations=(
    'The paper prints no numbers of this figure; the places of the sweep are chosen here',
  ),
)
