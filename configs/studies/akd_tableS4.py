"""AKD, Table S4: the radius of the teacher, both settings, CIFAR-100.

Run:       jaxrkd study --name=akd_tableS4 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_akd.py')
STUDY = P.akd_radii('Table S4', 'CIFAR-100', ('0', '2/255', '8/255'))
