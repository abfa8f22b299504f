"""MTARD, Table 1: its four teachers.

Run:       jaxrkd study --name=mtard_table1 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mtard.py')
Row, Shown = study.Row, study.Shown


def teacher(words, network, kind, checkpoint='best', **changes):
  """One of the paper's files, or what stands in for it."""
  data = {'cifar10': 'CIFAR-10', 'cifar100': 'CIFAR-100'}[words.split(',')[0]]
  return Row(
    network,
    f'teachers/cifar:{words}',
    {**(S.BY_CLEAN if kind == 'clean' else {}), **changes},
    block=data,
    printed=dict(dataset=data, teacher=network, teacher_type=kind),
    checkpoint=checkpoint,
  )


STUDY = study.Study(
  'MTARD',
  'Table 1',
  'How accurate and how robust are the teachers?',
  P.MTARD,
  [
    teacher('cifar10,clean', 'ResNet-56', 'clean'),
    teacher('cifar10,robust', 'WRN-34-10', 'adv', 'last'),
    teacher('cifar100,clean', 'WRN-22-6', 'clean'),
    # As in Table 2, whose students learn from it.
    teacher(
      'cifar100,robust',
      'WRN-70-16',
      'adv',
      'last',
      **{'student.normalisation': 'cifar10'},
    ),
  ],
  [
    Shown(title, column, dict(attack_or_metric=title))
    for title, column in {'Clean': 'clean', **P.MTARD_ATTACKS}.items()
  ],
  printed='mtard_table1.csv',
  deviations=(
    'The paper takes the teachers from public files (--files=RECIPE=FILE); without them '
    'TRADES trains the robust ones here, and 100 epochs the clean ones',
  ),
  public=S.PUBLIC,
)
