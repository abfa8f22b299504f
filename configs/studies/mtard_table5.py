"""MTARD, Table 5: methods on MobileNet-V2 under black-box attacks.

Run:       jaxrkd study --name=mtard_table5 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_mtard.py')
STUDY = P.mtard_study('Table 5', 'mtard_table5.csv', 'MobileNet-V2', black_box=True)
