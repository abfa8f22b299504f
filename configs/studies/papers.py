"""What the studies of one paper share: how it measures, its blocks, its rows.

The settings and their sources: docs/methods.md, "Paper and code".
"""

from jaxrkd.experiment import study

Row, Shown, Protocol = study.Row, study.Shown, study.Protocol
Study, Claim, Comparison, Cell, Figure = (
  study.Study,
  study.Claim,
  study.Comparison,
  study.Cell,
  study.Figure,
)
EIGHT = 8 / 255
DATA = {'CIFAR-10': 'cifar10', 'CIFAR-100': 'cifar100'}
STUDENTS = {
  'ResNet-18': 'resnet18',
  'MobileNet-V2': 'mobilenet_v2',
  'WRN-34-10': 'wrn_34_10',
}
WHITE = dict(fgsm={}, pgd_sat={}, pgd_trades={}, cw_inf={})


def blocks(data=tuple(DATA), students=('ResNet-18',)):
  """'CIFAR-10, ResNet-18' -> its words, and how the papers' numbers call it."""
  return {
    f'{d}, {s}': (f'{DATA[d]},{STUDENTS[s]}', dict(dataset=d, student=s))
    for s in students
    for d in data
  }


def named(*rows):
  """Rows with the paper's name of their method in the printed numbers, too."""
  return [
    study.dataclasses.replace(row, printed={'method': row.name, **row.printed})
    for row in rows
  ]


def best_of(titles, winner, rows, text):
  """Claims that a row has the largest number of all, one for each block and column."""
  return [
    Claim(
      f'{text}: {block}, {title}',
      tuple(
        Comparison(Cell(f'{block}: {winner}', title), Cell(f'{block}: {row}', title))
        for row in rows
        if row != winner
      ),
    )
    for block in titles['blocks']
    for title in titles['columns']
  ]


# MTARD: best W-Robust of all methods, on the test set; the attack is not named, and the code
# evaluates PGD with 20 steps of 0.003.
MTARD = Protocol(
  'MTARD',
  WHITE,
  select=dict(metric='weighted', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'Every method shows the checkpoint of the largest W-Robust, chosen on the test set '
    '(section 4.1); by PGD of 20 steps of 0.003, as the released code looks',
    'PGD_trades takes steps of 0.003 as in the released code; the text says 2/255',
    "TRADES trains at its authors' eps 0.031; the text says 8/255 for all",
  ),
)
MTARD_ATTACKS = {
  'FGSM': 'fgsm',
  'PGD_sat': 'pgd_sat',
  'PGD_trades': 'pgd_trades',
  'CW_inf': 'cw_inf',
}


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


NATURAL = Row('Natural', 'natural')
MTARD_ROWS = named(
  NATURAL,
  Row('SAT', 'sat'),
  Row('TRADES', 'trades'),
  # MTARD trains all students on batches of 128; ARD's own code takes 256 on CIFAR-100.
  Row('ARD', 'ard', {'batch_size': 128}),
  Row('RSLAD', 'rslad'),
  Row('MTARD', 'mtard'),
)
