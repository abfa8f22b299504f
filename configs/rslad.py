"""RSLAD with its authors' settings.

Run:       python launch/main.py --config=configs/rslad.py:cifar10 --workdir=runs/rslad
en-RSLAD:  ':en' learns from the mean of three teachers; ':en,soft', and naive, linear or
           pareto, weighs them image by image (AT-AKA, Table 3)
Words:     data, student, en, at_plus, smoke; see `setting.py`
Table 6:   ':table6' has MMARD's inner problem and schedule under this outer loss
In AKD:    `configs/akd.py:rslad` has AKD's schedule and teachers
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, ('table6', *SETTING.RULES))
  recipe = dict(
    method=dict(name='rslad'),
    attack=dict(steps=10, start='gauss'),
    epochs=300,
    schedule=dict(name='milestones', peak=0.1, milestones=(215, 260, 285)),
    select=dict(metric='robust'),
  )
  # With 18 updates an epoch 0.1 times the batch mean learns too slowly.
  digits = dict(method=dict(kl_scale=1.0))
  if 'table6' in on.words:
    recipe = SETTING.table6(recipe)
  rules = [word for word in SETTING.RULES if word in on.words]
  if rules:
    SETTING.refuse(on, () if on.en else rules, 'it weighs several teachers; add en')
    recipe['ensemble'] = dict(name=configs.one_word(on.words, SETTING.RULES))
  return SETTING.experiment(on, recipe, ('robust',), digits)
