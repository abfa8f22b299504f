"""MMARD, Table 4: eight methods and two students on CIFAR-100.

Run:       jaxrkd study --name=mmard_table4 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_mmard.py')

STUDY = P.mmard_study('Table 4', 'mmard_table4.csv', 'CIFAR-100', (0.51, 0.41))
