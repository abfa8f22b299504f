"""MMARD, Table 2: its teachers.

Run:       jaxrkd study --name=mmard_table2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mmard.py')
Row = study.Row

OTHER = {
  'resnet18': 'ResNet-18',
  'wrn_34_20': 'WideResNet-34-20',
  'wrn_70_16': 'WideResNet-70-16',
}


def row(config, network, data, setting):
  """One of the paper's files, or what stands in for it."""
  return Row(
    network,
    config,
    block=f'{data}, {setting.lower()}',
    printed=dict(dataset=data, teacher=network, setting=setting),
    checkpoint='last',
  )


STUDY = study.Study(
  'MMARD',
  'Table 2',
  'How accurate and how robust are the teachers?',
  P.MMARD,
  [
    row('teachers/cifar:cifar10,robust', 'WideResNet-34-10', 'CIFAR-10', 'Default'),
    row('teachers/cifar:cifar100,robust', 'WideResNet-70-16', 'CIFAR-100', 'Default'),
    *(
      row(f'teachers/mmard:{name}', network, 'CIFAR-10', 'Other')
      for name, network in OTHER.items()
    ),
    row('teachers/mmard:wrn_34_10', 'WideResNet-34-10', 'CIFAR-10', 'Other'),
  ],
  P.MMARD_COLUMNS,
  printed='mmard_table2.csv',
  deviations=(
    'The paper takes the teachers from public files (--files=RECIPE=FILE); without them '
    'TRADES trains the same networks here',
  ),
  public={**S.PUBLIC, **P.MMARD_PUBLIC},
)
