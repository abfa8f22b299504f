"""MMARD: teacher-aware inner problem and triangular relation, RSLAD's recipe, cosine.

Run:       python launch/main.py --config=configs/mmard.py:cifar10 --workdir=runs/mmard
Words:     data, student, en, at_plus, smoke; see `setting.py`
Table 5:   --config.epochs=50 --config.schedule_len=300 (':cut' sets both)
Table 6:   --config=configs/ard.py:table6,aa (also iad_1, rslad)
Figure 4:  with the word aa: (B) --config.inner=kl_teacher_clean, (C) --config.method.alpha=0
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('cut',))
  recipe = dict(
    method=dict(name='mmard'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='cosine', peak=0.1, unit='epoch'),
    select=dict(metric='robust'),
  )
  if 'cut' in on.words:
    if on.data == 'digits':
      SETTING.refuse(on, ('cut',), 'it is for CIFAR')
    recipe.update(epochs=50, schedule_len=300)
  digits = dict(method=dict(kl_scale=1.0))
  return SETTING.experiment(on, recipe, ('robust',), digits)
