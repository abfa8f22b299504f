"""Matrix on CIFAR-10: five methods with and without the extras, on CIFAR-10.

Run:       jaxrkd study --name=matrix_cifar10 --workdir=runs/studies
Part:      --only=SAAD, --only='AWP + SWA'
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

M = configs.sibling(__file__, 'matrix_rows.py')
ROWS = M.rows(
  'cifar10', epochs=200, alpha=5.0, methods=('SAT', 'TRADES', 'RSLAD', 'AdaAD', 'SAAD')
)
# The command line of AdaAD's code trains in twice the ball, unless told otherwise.
ROWS.append(
  study.Row(
    'AdaAD, trained at 16/255',
    'adaad:cifar10',
    {
      'epochs': 200,
      'swa.start': 100,
      'threat.eps': 16 / 255,
      'evaluation.threat.eps': 8 / 255,
    },
    block=M.PLAIN,
  )
)
STUDY = study.Study(
  '',
  'Matrix on CIFAR-10',
  'What do AWP and SWA add on CIFAR-10?',
  M.PROTOCOL,
  ROWS,
  M.COLUMNS,
  claims=M.claims(ROWS),
  deviations=(
    'In full size every training has 200 epochs, and otherwise the settings of its config',
  ),
)
