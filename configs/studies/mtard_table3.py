"""MTARD, Table 3: methods on MobileNet-V2 under white-box attacks.

Run:       jaxrkd study --name=mtard_table3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_mtard.py')
STUDY = P.mtard_study('Table 3', 'mtard_table3.csv', 'MobileNet-V2', black_box=False)
