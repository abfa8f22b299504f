"""AKD: label mixing and early-stopped teachers, with its author's optimiser.

Run:       python launch/main.py --config=configs/akd.py:cifar10,pgd7 --workdir=runs/akd
Words:     data, student, at_plus, smoke (`setting.py`); and on CIFAR
  teacher  pgd7 (default), ffgsm, std; eps2, eps16 for another teacher eps (8 otherwise)
  mix      std and pgd7 together (Figure 3); --config.teachers.std.weight=0.2
           --config.teachers.pgd7.weight=0.8 for other shares than halves
  en       four teachers with seeds 0 to 3; with mix two of each kind
  rows     conservative (default; Table S1's upper rows), maximising (lower rows, and
           those of S3), plain (no early stopping, no label mixing)
  at       no teacher: PGD-7 alone with the student's schedule (Table 2)
  loss     rslad: RSLAD's with the same teachers and schedule (Table 5)
  raw      no normalisation inside the networks
Paper:     ResNet-18, PGD-7 teacher, CIFAR-10: the study akd_table2
Result:    digits in docs/methods.md; CIFAR not measured yet
"""

from jaxrkd.experiment import config_files as configs

SETTING = configs.sibling(__file__, 'setting.py')
FAMILY = configs.sibling(__file__, 'teachers/akd.py')
ROWS, LOSSES = ('conservative', 'maximising', 'plain'), ('akd', 'rslad')
TEACHERS = 4


def row(on, families: list[str], loss: str) -> tuple[float, int]:
  """(alpha, epoch at which the teachers stop) of a row of the paper's tables."""
  chosen = configs.one_word(on.words, ROWS)
  weak = families == ['std'] or 'eps2' in on.words
  if chosen == 'plain':
    return 1.0, 0
  if loss == 'rslad':
    # Table 5; the text says that alpha is close to 0.5.
    return 0.5, 20 if weak else 30
  if chosen == 'conservative':
    return 0.5, 20
  return (0.6, 20) if weak else (0.75, 30)


def get_config(arg: str = '') -> configs.ConfigDict:
  on = SETTING.choose(arg, (*FAMILY.WORDS, *ROWS, *LOSSES, 'mix', 'at'))
  loss = configs.one_word(on.words, LOSSES)
  families = [configs.one_word(on.words, FAMILY.TRAININGS)]
  if 'mix' in on.words:
    SETTING.refuse(on, FAMILY.TRAININGS, 'mix takes std and pgd7')
    families = ['std', 'pgd7']
  elif families == ['std']:
    SETTING.refuse(on, FAMILY.LEVELS, 'std trains without an attack')
  if 'at' in on.words:
    SETTING.refuse(
      on,
      (*FAMILY.TRAININGS, *FAMILY.LEVELS, *ROWS, *LOSSES, 'mix', 'en'),
      'at has no teacher',
    )
    families = []
  alpha, epoch = row(on, families, loss)
  method, start = dict(name='akd', alpha=alpha), 'uniform'
  if loss == 'rslad':
    method, start = dict(name='rslad', alpha=alpha, teacher='all'), 'gauss'
  if 'at' in on.words:
    method = dict(name='sat')
  recipe = dict(
    method=method,
    attack=dict(steps=7, start=start),
    batch_size=256,
    epochs=50,
    schedule=dict(name='one_cycle', peak=0.21),
    optimizer=dict(weight_decay=5e-4),
  )
  if on.data == 'digits':
    SETTING.refuse(on, (*FAMILY.WORDS, *ROWS, *LOSSES, 'mix', 'at'), 'it is for CIFAR')
    return SETTING.experiment(on, recipe, ('robust',))
  SETTING.refuse(on, tuple(SETTING.OTHERS), 'its teachers are for CIFAR and digits')
  config = SETTING.experiment(on._replace(en=False), recipe)
  FAMILY.normalise(config, on)
  for family in families:
    for seed in range(TEACHERS // len(families) if on.en else 1):
      teacher = FAMILY.teacher(on, family)
      teacher.seed = seed
      config.teachers[f'{family}_{seed}' if on.en else family] = configs.teacher(
        teacher,
        kind='clean' if family == 'std' else 'robust',
        checkpoint='last',
        epoch=1 if on.smoke and epoch else epoch,
      )
  if loss == 'rslad' and len(config.teachers) > 1:
    # The author's code attacks against the first of several.
    config.method.attack_target = families[0] + ('_0' if on.en else '')
  return config
