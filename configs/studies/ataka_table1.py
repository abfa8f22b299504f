"""AT-AKA, Table 1: sets of adversarial images by SVGD against runs of PGD.

Run:       jaxrkd study --name=ataka_table1 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_ataka.py')
Row, Shown = study.Row, study.Shown
PRINTED = {'PGD': 'PGD, 10 runs', 'SVGD': 'SVGD, 10 particles'}
# The network is not named; cross-entropies of 41 are those of one that is not robust.
NETWORKS = {'Natural': S.BY_CLEAN, 'SAT': {}}


def compared(text, title):
  """Claims that SVGD has more of a column than PGD, for both networks."""
  return [
    S.larger(f'{text}: {block}', ((f'{block}: SVGD', title), (f'{block}: PGD', title)))
    for block in NETWORKS
  ]


STUDY = study.Study(
  'AT-AKA',
  'Table 1',
  'Are the adversarial images of SVGD more different from each other than those of PGD?',
  P.ATAKA,
  [
    Row(
      name,
      f'{block.lower()}:cifar10',
      changes,
      block=block,
      printed=dict(method=PRINTED[name])
      if name in PRINTED and block == 'Natural'
      else {},
      particles=name,
    )
    for block, changes in NETWORKS.items()
    for name in ('PGD', 'SVGD', 'SVGD, sigma 1e-3')
  ],
  [
    Shown('Distance, L1', 'particles:l1', dict(attack_or_metric='dist')),
    Shown('Distance, L2', 'particles:l2'),
    Shown('Distance, Linf', 'particles:linf'),
    Shown('Mean CE', 'particles:ce_mean', dict(attack_or_metric='Avg(CE)')),
    Shown('Std CE', 'particles:ce_std', dict(attack_or_metric='Std(CE)')),
    Shown('Max CE', 'particles:ce_max', dict(attack_or_metric='Max(CE)')),
    Shown('Classes', 'particles:classes'),
  ],
  printed='ataka_table1.csv',
  claims=[
    *compared('The images of SVGD lie further apart', 'Distance, L1'),
    *compared('Their cross-entropies differ more', 'Std CE'),
    *compared('The strongest of them is stronger', 'Max CE'),
  ],
  deviations=(
    'The paper attacks one random image of a network that it does not name; here it is the '
    'mean over the first 100 test images, of a natural and of a robust network',
    'The unit of the printed distances is not stated; L1 of [0, 1] pixels is the only usual '
    'norm that fits them',
    "SVGD's kernel has the median width; sigma 1e-3 is the printed one, at which it is PGD",
  ),
)
