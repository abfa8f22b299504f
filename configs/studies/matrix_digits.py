"""Matrix on digits: every method with and without the extras, on digits.

Run:       jaxrkd study --name=matrix_digits --workdir=runs/studies
Part:      --only=SAAD, --only='AWP + SWA'
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

M = configs.sibling(__file__, 'matrix_rows.py')
ROWS = M.rows('digits', epochs=45, alpha=1.0)
STUDY = study.Study(
  '',
  'Matrix on digits',
  'What do AWP, SWA and IGDM add to each method on digits?',
  M.PROTOCOL,
  ROWS,
  M.COLUMNS,
  claims=M.claims(ROWS),
  deviations=('digits have the recipes of configs/, whose schedules are all alike',),
)
