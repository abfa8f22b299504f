"""AT-AKA, Table 4: CAT-AKA against ensembles of SAT, TRADES and MART, Fog included.

Run:       python launch/compare.py --study=configs/studies/ataka_table4.py \\
             --workdir=runs/ataka_table4
Paper:     ResNet-18, CIFAR-10, PGD: en-SAT 50.52, en-TRADES 53.26, en-MART 54.47, CAT-AKA
           60.03 (S1); the strength of its Fog column is not named, so four are measured
Baselines: with CAT-AKA's optimiser; without the word table4 with that of their authors
CIFAR-100, WRN-34-10: `cifar100` and `wrn_34_10` as words of each row
"""

ROWS = {
  **{
    f'en-{name.upper()}': f'{name}.py:cifar10,en,fog,table4'
    for name in ('sat', 'trades', 'mart')
  },
  '(S)CAT-AKA': 'cat_aka.py:cifar10,fog',
}
