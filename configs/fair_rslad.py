"""Fair-RSLAD with its authors' settings: classes that are easily attacked count more.

Run:       python launch/main.py --config=configs/fair_rslad.py:cifar10 --workdir=runs/fair
           `fair_ard.py`, `fair_iad.py`, `fair_mtard.py` make other methods fair
Words:     data, student, en, at_plus, smoke; see `setting.py`
Code:      Nesterov momentum, as the released scripts have it
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')
# With 18 updates an epoch 0.1 times the batch mean learns too slowly.
SCALED = dict(method=dict(kl_scale=1.0))


def get_config(arg: str = '') -> configs.ConfigDict:
  return fair('rslad', arg, SCALED)


def fair(base: str, arg: str, digits: dict) -> configs.ConfigDict:
  """The recipe around a method.

  Args:
    base: the method that is made fair.
    arg: words.
    digits: what differs on digits.
  """
  recipe = dict(
    method=dict(name=f'fair_{base}'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(215, 260, 285)),
    optimizer=dict(nesterov=True),
    select=dict(metric='robust'),
  )
  kinds = ('clean', 'robust') if base == 'mtard' else ('robust',)
  return SETTING.experiment(SETTING.choose(arg), recipe, kinds, digits)
