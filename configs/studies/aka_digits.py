"""AT-AKA and CAT-AKA on digits: rules, attacks, what the student sees, and en-RSLAD.

Run:       python launch/compare.py --study=configs/studies/aka_digits.py --seeds=0,1,2 \\
             --workdir=runs/aka_digits
Hardware:  2 CPU cores, about an hour
Result:    docs/methods.md, "Amalgamated teachers on digits"
"""

NAMES = {'naive': 'N', 'linear': 'L', 'soft': 'S', 'pareto': 'P'}
AT = 'at_aka.py:digits'
ROWS = {
  **{f'({short})AT-AKA': f'{AT},coupled,{rule}' for rule, short in NAMES.items()},
  '(S)AT-AKA paper': f'{AT},paper',
  '(S)AT-AKA with PGD': f'{AT},pgd',
  '(S)AT-AKA on particles': f'{AT},coupled,particles',
  '(S)AT-AKA on own PGD': f'{AT},coupled,own_pgd',
  '(S)CAT-AKA': 'cat_aka.py:digits,coupled',
  'en-RSLAD': 'rslad.py:digits,en',
  **{f'({short})RSLAD': f'rslad.py:digits,en,{rule}' for rule, short in NAMES.items()},
}
