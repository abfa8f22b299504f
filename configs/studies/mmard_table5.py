"""MMARD, Table 5 and Figure 1b: three methods under four teachers, 50 epochs.

Run:       jaxrkd study --name=mmard_table5 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mmard.py')
Row, Figure, Claim, Comparison, Cell = (
  study.Row,
  study.Figure,
  study.Claim,
  study.Comparison,
  study.Cell,
)

NAMES = {
  'ResNet-18': 'resnet18',
  'WRN-34-10': 'wrn_34_10',
  'WRN-34-20': 'wrn_34_20',
  'WRN-70-16': 'wrn_70_16',
}
METHODS = {'ARD': ('ard', P.MMARD_ARD), 'RSLAD': ('rslad', {}), 'MMARD': ('mmard', {})}
# Cut from the schedule of 300 epochs.
CUT = {'epochs': 50, 'schedule_len': 300}


def rows():
  """Every method under every teacher, and its average over them."""
  found = []
  for method, (config, changes) in METHODS.items():
    own = [
      Row(
        teacher,
        f'{config}:cifar10',
        {
          **changes,
          **CUT,
          'teachers.robust': S.taught_by(f'teachers/mmard:{name}', checkpoint='last'),
        },
        block=method,
        line=method,
        at=float(place),
        printed=dict(method=method, teacher=teacher),
      )
      for place, (teacher, name) in enumerate(NAMES.items(), 1)
    ]
    found += own
    found.append(
      Row(
        'Average',
        block=method,
        printed=dict(method=method, teacher='Average'),
        mean_of=tuple(row.key for row in own),
      )
    )
  return found


STUDY = study.Study(
  'MMARD',
  'Table 5',
  'Does a larger teacher make a more robust student?',
  P.MMARD,
  rows(),
  [P.MMARD_COLUMNS[0], P.MMARD_COLUMNS[-1]],
  printed='mmard_table5.csv',
  claims=[
    Claim(
      f'MMARD is more robust than {other} on average (the paper gains {gain} points of AA)',
      (Comparison(Cell('MMARD: Average', 'AA'), Cell(f'{other}: Average', 'AA')),),
    )
    for other, gain in (('ARD', 5.27), ('RSLAD', 3.66))
  ],
  figures=[
    Figure(
      'Figure 1b',
      'sweep',
      ('Clean', 'AA'),
      'teacher: 1 ResNet-18, 2 WRN-34-10, 3 WRN-34-20, 4 WRN-70-16',
      tuple(f'{method}: {name}' for method in ('ARD', 'RSLAD') for name in NAMES),
      caption='Accuracy of the student over the capacity of its teacher.',
    )
  ],
  deviations=(
    'The first 50 epochs of the schedule of 300, which the values fit',
    'The paper takes the teachers from public files (--files=RECIPE=FILE); without them '
    'TRADES trains the same networks here',
  ),
  public=P.MMARD_PUBLIC,
)
