"""AKD, Table S2: conservative and maximising settings on CIFAR-100.

Run:       jaxrkd study --name=akd_tableS2 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_akd.py')
STUDY = P.akd_settings('Table S2', 'CIFAR-100', 'AutoAttack')
