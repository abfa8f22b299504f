"""CAT-AKA: three equal students that learn from their amalgam.

Run:       python launch/main.py --config=configs/cat_aka.py:cifar10 --workdir=runs/cat_aka
Words:     data, fog, smoke (`setting.py`); resnet18 (default) or wrn_34_10; and
  rule     soft (default, the only one that the paper reports), naive, linear
  number   n2, n3 (default), n4: students and particles
  attack   paper (default), coupled, pgd; see `at_aka.py`
Hardware:  three students at once; `--dry_run` estimates the time; digits: 2 CPU cores, minutes
Paper:     ResNet-18, CIFAR-10: 82.25 clean, 60.03 PGD (S1); see the study ataka_table4
alpha:     as in `at_aka.py`
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')
FAMILY = configs.sibling(__file__, 'at_aka.py')
RULES, NUMBERS = FAMILY.RULES[:3], ('n3', 'n2', 'n4')
STUDENTS = ('resnet18', 'wrn_34_10')


def get_config(arg: str = '') -> configs.ConfigDict:
  words = (
    *SETTING.DATA,
    *STUDENTS,
    *RULES,
    *NUMBERS,
    *FAMILY.ATTACKS,
    'aa',
    'fog',
    'smoke',
  )
  on = SETTING.choose(arg, (), words)
  rule = configs.one_word(on.words, RULES)
  recipe = dict(
    method=dict(
      name='cat_aka',
      students=int(configs.one_word(on.words, NUMBERS)[1:]),
      amalgamation=rule,
      alpha=SETTING.aka_alpha(on, rule),
    ),
    attack=SETTING.aka_attack(configs.one_word(on.words, FAMILY.ATTACKS)),
    select=dict(metric='robust', attack=dict(name='pgd_trades')),
    **SETTING.table4(on),
  )
  return SETTING.experiment(on, recipe, digits=dict(epochs=25))
