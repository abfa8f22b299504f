"""Fair-MTARD: MTARD where classes that are easily attacked count more.

Run:       python launch/main.py --config=configs/fair_mtard.py:cifar10 --workdir=runs/fair_mtard
Words:     data, student, en, at_plus, smoke; see `setting.py`
Recipe:    that of `fair_rslad.py`
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

FAIR = configs.sibling(__file__, 'fair_rslad.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  return FAIR.fair('mtard', arg, FAIR.SCALED)
