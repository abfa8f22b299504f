"""MMARD, Table 6: its inner problem under other methods' losses.

Run:       jaxrkd study --name=mmard_table6 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_mmard.py')
Row, Shown, Claim, Comparison, Cell = (
  study.Row,
  study.Shown,
  study.Claim,
  study.Comparison,
  study.Cell,
)

METHODS = {'ARD': ('ard', P.MMARD_ARD), 'IAD': ('iad_1', {}), 'RSLAD': ('rslad', {})}
TITLES = {'Clean': 'clean', 'FGSM': 'fgsm', 'AA': 'autoattack'}
ROWS = [
  Row(method, f'{config}:cifar10', changes, block='own inner problem (Table 3)')
  for method, (config, changes) in METHODS.items()
] + [
  Row(
    method,
    f'{config}:cifar10,table6',
    block="MMARD's inner problem",
    printed=dict(method=f'{method} outer + MMARD inner'),
    baseline=f'own inner problem (Table 3): {method}',
  )
  for method, (config, _) in METHODS.items()
]

STUDY = study.Study(
  'MMARD',
  'Table 6',
  'Does the inner problem of MMARD help other methods?',
  P.MMARD,
  ROWS,
  [
    *(Shown(t, value, dict(attack_or_metric=t)) for t, value in TITLES.items()),
    *(
      Shown(
        f'{t}, gain',
        value,
        dict(attack_or_metric=t),
        relative=True,
        printed_in='delta_vs_table3',
      )
      for t, value in TITLES.items()
    ),
  ],
  printed='mmard_table6.csv',
  claims=[
    Claim(
      f"{method} gains under MMARD's inner problem: {title}",
      (
        Comparison(
          Cell(f"MMARD's inner problem: {method}", title),
          Cell(f'own inner problem (Table 3): {method}', title),
        ),
      ),
    )
    for method in METHODS
    for title in TITLES
  ],
  deviations=('ARD and IAD take the cosine schedule of MMARD, too',),
  public=S.PUBLIC,
)
