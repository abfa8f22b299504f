"""AT-AKA, Table 3: PGD for SVGD, and the rules under RSLAD.

Run:       jaxrkd study --name=ataka_table3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_ataka.py')
Row = study.Row

WHERE = S.blocks(('CIFAR-10',))
STUDY = study.Study(
  'AT-AKA',
  'Table 3',
  'Do the particles of SVGD help, and does amalgamation help RSLAD?',
  P.ATAKA,
  study.over(
    WHERE,
    S.named(
      *(
        Row(f'({short})AT-AKA with PGD', f'at_aka:pgd,{rule}')
        for short, rule in P.RULES.items()
      ),
      *(Row(f'({short})RSLAD', f'rslad:en,{rule}') for short, rule in P.RULES.items()),
      # Table 2's, for comparison; they are trained once for both.
      *(
        Row(f'({short})AT-AKA', f'at_aka:paper,{rule}', printed=P.UNPRINTED)
        for short, rule in P.RULES.items()
      ),
    ),
  ),
  P.ATAKA_COLUMNS,
  printed='ataka_table3.csv',
  claims=[
    S.larger(
      f'AT-AKA is more robust with SVGD than with PGD: {short}, {title}',
      (
        (f'CIFAR-10, ResNet-18: ({short})AT-AKA', title),
        (f'CIFAR-10, ResNet-18: ({short})AT-AKA with PGD', title),
      ),
    )
    for short in P.RULES
    for title in ('FGSM', 'PGD_trades-20', 'AA')
  ],
)
