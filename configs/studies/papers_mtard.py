"""What the studies of MTARD share: how it measures, its rows.

The settings and their sources: docs/methods.md, "Paper and code".
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
Row, Shown, Protocol = study.Row, study.Shown, study.Protocol
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell

# MTARD: best W-Robust of all methods, on the test set; the attack is not S.named, and the code
# evaluates PGD with 20 steps of 0.003.
MTARD = Protocol(
  'MTARD',
  dict(fgsm={}, pgd_sat={}, pgd_trades={}, cw_inf={}),
  select=dict(metric='weighted', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'Every method shows the checkpoint of the largest W-Robust on the test set (section '
    '4.1), by PGD of 20 steps of 0.003, as the released code looks',
    'PGD_trades takes steps of 0.003 as in the released code; the text says 2/255',
    "TRADES trains at its authors' eps 0.031; the text says 8/255 for all",
    'Both teachers of CIFAR-100 normalise with the constants of CIFAR-10, as in the released '
    'code',
  ),
)
MTARD_ATTACKS = {
  'FGSM': 'fgsm',
  'PGD_sat': 'pgd_sat',
  'PGD_trades': 'pgd_trades',
  'CW_inf': 'cw_inf',
}
# Only rows with a robust teacher have this key.
MTARD_CIFAR100 = {'teachers.robust.config.student.normalisation': 'cifar10'}
# MTARD trains all students on batches of 128; ARD's own code takes 256 on CIFAR-100.
MTARD_ROWS = S.named(
  Row('Natural', 'natural'),
  Row('SAT', 'sat'),
  Row('TRADES', 'trades'),
  Row('ARD', 'ard', {'batch_size': 128}),
  Row('RSLAD', 'rslad'),
  Row('MTARD', 'mtard'),
)


def mtard_columns(attacks):
  """Clean accuracy, and robust and weighted robust accuracy under each attack."""
  first = next(iter(attacks))
  found = [Shown('Clean', 'clean', dict(attack=first, attack_or_metric='Clean'))]
  for name, column in attacks.items():
    found += [
      Shown(name, column, dict(attack=name, attack_or_metric='Robust')),
      Shown(
        f'W {name}', f'weighted:{column}', dict(attack=name, attack_or_metric='W-Robust')
      ),
    ]
  return found


def mtard_study(item, file, student, black_box=False):
  """Tables 2 to 5: white and black box, two students."""
  where = S.blocks(students=(student,), cifar100=MTARD_CIFAR100)
  attacks, rows, protocol = MTARD_ATTACKS, MTARD_ROWS, MTARD
  asks = f'Which method gives a {student} the largest mean of clean and robust accuracy?'
  if black_box:
    protocol, attacks, asks = (
      MTARD_BLACK_BOX,
      MTARD_TRANSFER,
      f'{asks[:-1]} under black-box attacks?',
    )
    rows = [row for row in MTARD_ROWS if row.name != 'Natural']
  made = study.over(where, rows)
  if black_box:
    # Its images are made on the robust teacher, whether the method has one or not.
    made = [
      dataclasses.replace(
        row,
        surrogates={
          'robust': (f'teachers/cifar:{S.DATA[row.printed["dataset"]]},robust', 'last')
        },
      )
      for row in made
    ]
  return study.Study(
    'MTARD',
    item,
    asks,
    protocol,
    made,
    mtard_columns(attacks),
    printed=file,
    claims=S.best_of(
      where,
      [f'W {name}' for name in attacks],
      'MTARD',
      [row.name for row in rows],
      'MTARD is the best in W-Robust',
    ),
    public=S.PUBLIC,
  )


MTARD_BLACK_BOX = dataclasses.replace(
  MTARD,
  attacks=dict(
    pgd_from_robust=dict(name='pgd_trades', surrogate='robust'),
    cw_from_robust=dict(name='cw_inf', surrogate='robust'),
    square_100=dict(name='square', queries=100, rescale=True),
  ),
  states=(
    *MTARD.states,
    'Transferred images are made on the robust teacher, with 20 steps of 0.003 and CW with '
    '30 steps',
    'Square has 100 queries of its whole schedule: the paper names no number, and its '
    'values fit this one',
  ),
)
MTARD_TRANSFER = {
  'PGD-20(transfer)': 'pgd_from_robust',
  'CW_inf(transfer)': 'cw_from_robust',
  'SA': 'square_100',
}
