"""AKD, Table S1: conservative and maximising settings on CIFAR-10.

Run:       jaxrkd study --name=akd_tableS1 --workdir=runs/studies
"""

from jaxrkd.experiment import config_files as configs

P = configs.sibling(__file__, 'papers_akd.py')
STUDY = P.akd_settings(
  'Table S1',
  'CIFAR-10',
  'Robust',
  seeds=(0, 1, 2, 3),
  deviations=('Each of the runs has teachers of its own seed; the paper does not say',),
)
