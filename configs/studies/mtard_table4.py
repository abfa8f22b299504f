"""MTARD, Table 4: methods on ResNet-18 under black-box attacks.

Run:       jaxrkd study --name=mtard_table4 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_mtard.py')
STUDY = P.mtard_study('Table 4', 'mtard_table4.csv', 'ResNet-18', black_box=True)
