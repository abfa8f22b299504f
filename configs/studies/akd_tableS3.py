"""AKD, Table S3: the radius of the teacher, both settings, CIFAR-10.

Run:       jaxrkd study --name=akd_tableS3 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_akd.py')
STUDY = P.akd_radii(
  'Table S3', 'CIFAR-10', ('0', '2/255', '8/255', '16/255'), seeds=(0, 1, 2, 3)
)
