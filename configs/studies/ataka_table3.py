"""AT-AKA, Table 3: ResNet-18 on CIFAR-10, PGD for SVGD, and the rules under RSLAD.

Run:       python launch/compare.py --study=configs/studies/ataka_table3.py \\
             --workdir=runs/ataka_table3
Paper:     (S)AT-AKA with PGD 84.25 clean, 57.02 PGD_trades; (S)RSLAD 84.32, 57.62
"""

NAMES = {'naive': 'N', 'linear': 'L', 'soft': 'S', 'pareto': 'P'}
ROWS = {
  **{
    f'({short})AT-AKA with PGD': f'at_aka.py:cifar10,pgd,{rule}'
    for rule, short in NAMES.items()
  },
  **{f'({short})RSLAD': f'rslad.py:cifar10,en,{rule}' for rule, short in NAMES.items()},
}
