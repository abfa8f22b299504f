"""MMARD, Table 3: eight methods and two students on CIFAR-10.

Run:       jaxrkd study --name=mmard_table3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_mmard.py')

STUDY = P.mmard_study('Table 3', 'mmard_table3.csv', 'CIFAR-10', (1.01, 0.98))
