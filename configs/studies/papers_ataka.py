"""What the studies of AT-AKA share: how it measures.

The settings and their sources: docs/methods.md, "Paper and code".
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
Row, Shown, Protocol = study.Row, study.Shown, study.Protocol
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell

# AT-AKA: selection is not stated; all rows by PGD_trades on the test set.
ATAKA = Protocol(
  'AT-AKA',
  dict(fgsm={}, pgd_trades={}, autoattack={}),
  select=dict(metric='robust', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'The paper states no selection; every row shows the checkpoint of the largest '
    'PGD_trades on the test set, Natural that of the largest clean accuracy',
    'PGD_trades takes 20 steps of 0.003',
    'The paper tunes alpha and prints none; here it is 0.5 under the mean over classes',
    'en-IAD is IAD-I; members of ensembles differ in their seed',
  ),
)
ATAKA_COLUMNS = [
  Shown('Clean', 'clean', dict(attack_or_metric='Clean')),
  Shown('FGSM', 'fgsm', dict(attack_or_metric='FGSM')),
  Shown('PGD_trades-20', 'pgd_trades', dict(attack_or_metric='PGD_trades-20')),
  Shown('AA', 'autoattack', dict(attack_or_metric='AA')),
]
# Of rows that the paper does not have.
UNPRINTED = {'method': ''}
RULES = {'N': 'naive', 'L': 'linear', 'S': 'soft', 'P': 'pareto'}
WIDTH = (
  "The kernel's width is the printed 0.001, at which every particle is on its own; the word "
  'coupled takes the median'
)
