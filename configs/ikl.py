"""IKL with its authors' settings: KL taken apart, with AWP.

Run:       python launch/main.py --config=configs/ikl.py:cifar10,wrn_34_10 --workdir=runs/ikl
Words:     data, student, en, at_plus, smoke (`setting.py`); the authors' student is wrn_34_10
Attack:    the radius grows with the epoch (attack.ramp), as in the code
Average:   the authors average the checkpoints of all epochs: add config.swa.start=1 config.swa.decay=0.9
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  return decoupled(SETTING.choose(arg), dict(name='ikl'))


def decoupled(on, method: dict) -> configs.ConfigDict:
  """The recipe of IKL and GKL.

  Args:
    on: see `setting.choose`.
    method: which of the two, with its options.
  """
  recipe = dict(
    method=dict(attack_beta=1.0 if on.data == 'cifar100' else 0.0, **method),
    attack=dict(steps=5, step_size=4 / 255, start='gauss'),
    awp=dict(gamma=0.005, warmup=10),
    epochs=200,
    schedule=dict(name='cosine', peak=0.2),
    optimizer=dict(weight_decay=5e-4),
    select=dict(metric='robust'),
  )
  made = SETTING.experiment(on, recipe)
  made.attack.ramp = -1
  return made
