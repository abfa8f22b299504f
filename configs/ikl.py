"""IKL or GKL with their authors' settings: KL taken apart, with AWP.

Run:       python launch/main.py --config=configs/ikl.py:cifar10,wrn_34_10 --workdir=runs/ikl
Words:     data, student, en, at_plus, smoke (`setting.py`); the authors' student is wrn_34_10,
           and ikl (default) or gkl
Attack:    the code's radius grows with the epoch; here it is the whole one from the start
Average:   the authors average the checkpoints of all epochs
Result:    not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  kinds = ('ikl', 'gkl')
  on = SETTING.choose(arg, kinds)
  kind, wide = configs.one_word(on.words, kinds), on.data == 'cifar100'
  options = dict(gamma=0.4 if wide else 0.2) if kind == 'gkl' else {}
  recipe = dict(
    method=dict(name=kind, attack_beta=1.0 if wide else 0.0, **options),
    attack=dict(steps=5, step_size=4 / 255, start='gauss'),
    awp=dict(gamma=0.005, warmup=10),
    epochs=200,
    schedule=dict(name='cosine', peak=0.2),
    optimizer=dict(weight_decay=5e-4),
    select=dict(metric='robust'),
  )
  return SETTING.experiment(on, recipe)
