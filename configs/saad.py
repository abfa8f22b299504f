"""SAAD with its authors' settings: images whose teacher is uncertain count more.

Run:       python launch/main.py --config=configs/saad.py:cifar10 --workdir=runs/saad
Words:     data, student, en, at_plus, smoke; see `setting.py`
Batch:     the weights are relative to the most certain image of a batch: they, and the
           effective learning rate, depend on batch_size
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg)
  recipe = dict(
    method=dict(name='saad', alpha=10.0 if on.data == 'cifar100' else 1.0),
    attack=dict(steps=10, start='gauss'),
    epochs=200,
    schedule=dict(name='milestones', peak=0.1, milestones=(100, 150)),
    select=dict(metric='robust'),
  )
  return SETTING.experiment(on, recipe, ('robust',))
