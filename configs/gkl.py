"""GKL with its authors' settings: IKL with flatter weights of the classes.

Run:       python launch/main.py --config=configs/gkl.py:cifar10,wrn_34_10 --workdir=runs/gkl
Words:     data, student, en, at_plus, smoke; see `setting.py`
Recipe:    that of `ikl.py`
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

IKL = configs.sibling(__file__, 'ikl.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = IKL.SETTING.choose(arg)
  gamma = 0.4 if on.data == 'cifar100' else 0.2
  return IKL.decoupled(on, dict(name='gkl', gamma=gamma))
