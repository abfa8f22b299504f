"""AKD, footnote 3: what an epoch of adversarial training costs.

Run:       jaxrkd study --name=akd_cost --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

P = configs.sibling(__file__, 'papers_akd.py')
Row, Shown, Claim, Comparison, Cell = (
  study.Row,
  study.Shown,
  study.Claim,
  study.Comparison,
  study.Cell,
)

STUDY = P.akd_study(
  'Footnote 3',
  'How much longer is an epoch of adversarial training?',
  [
    Row('Std.', 'teachers/akd:cifar10,std'),
    Row('AT_FFGSM', 'teachers/akd:cifar10,ffgsm'),
    Row('AT_PGD-7', 'teachers/akd:cifar10,pgd7'),
  ],
  columns=[
    *P.AKD_COLUMNS,
    Shown('Epoch', 'seconds'),
    Shown('times Std.', 'seconds', ratio_to='Std.'),
  ],
  claims=[
    Claim(
      'An epoch with PGD-7 takes more than twice a standard one (the paper says 8 times)',
      (Comparison(Cell('AT_PGD-7', 'times Std.'), 2.0),),
    )
  ],
)
