"""AT-AKA, Table 2: AT-AKA by four rules against natural training and en- baselines.

Run:       python launch/compare.py --study=configs/studies/ataka_table2.py \\
             --workdir=runs/ataka_table2
Paper:     ResNet-18, CIFAR-10, PGD_trades: en-RSLAD 57.00, (S)AT-AKA 64.20
Widths:    SVGD's as printed, where particles are on their own, and the median's
Others:    `mobilenet_v2` and `cifar100` as words of each row. en-IAD is IAD-I.
"""

NAMES = {'naive': 'N', 'linear': 'L', 'soft': 'S', 'pareto': 'P'}
ROWS = {
  'Natural': 'natural.py:cifar10',
  'en-SAT': 'sat.py:cifar10,en',
  'en-ARD': 'ard.py:cifar10,en',
  'en-IAD': 'iad_1.py:cifar10,en',
  'en-RSLAD': 'rslad.py:cifar10,en',
  **{
    f'({short})AT-AKA {width}': f'at_aka.py:cifar10,{width},{rule}'
    for width in ('paper', 'coupled')
    for rule, short in NAMES.items()
  },
}
