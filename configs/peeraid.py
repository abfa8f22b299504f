"""PeerAiD with its authors' settings: a peer is trained along.

Run:       python launch/main.py --config=configs/peeraid.py:cifar10 --workdir=runs/peeraid
Words:     data, student, aa, fog, smoke; see `setting.py`. The peer is like the student.
Code:      the authors report the best weight average of the student (SWA)
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, (), (*SETTING.DATA, *SETTING.STUDENTS, 'aa', 'fog', 'smoke'))
  recipe = dict(
    method=dict(
      name='peeraid', peer_student_weight=1.0 if on.data == 'cifar100' else 0.1
    ),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(214, 259, 284)),
    select=dict(metric='robust', attack=dict(name='pgd', steps=10)),
  )
  config = SETTING.experiment(on, recipe)
  config.online.peer = config.student.to_dict()
  return config
