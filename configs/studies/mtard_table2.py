"""MTARD, Table 2: methods on ResNet-18 under white-box attacks.

Run:       jaxrkd study --name=mtard_table2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_mtard.py')
STUDY = P.mtard_study('Table 2', 'mtard_table2.csv', 'ResNet-18', black_box=False)
