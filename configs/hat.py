"""HAT with its authors' settings: a standardly trained helper labels what lies beyond x'.

Run:       python launch/main.py --config=configs/hat.py:cifar10 --workdir=runs/hat
Words:     data, student, en, at_plus, smoke; see `setting.py`
Helper:    the authors' is trained like the student, for 50 epochs; here it is the clean
           teacher of the other methods
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  recipe = dict(
    method=dict(name='hat'),
    attack=dict(steps=10, start='gauss'),
    epochs=50,
    schedule=dict(name='one_cycle', peak=0.21),
    optimizer=dict(weight_decay=5e-4, nesterov=True),
    select=dict(metric='robust'),
  )
  return SETTING.experiment(SETTING.choose(arg), recipe, ('clean',))
