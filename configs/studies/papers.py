"""What the studies of one paper share: how it measures, its blocks, its rows.

The settings and their sources: docs/methods.md, "Paper and code".
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

Row, Shown, Protocol, Block = study.Row, study.Shown, study.Protocol, study.Block
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell
DATA = {'CIFAR-10': 'cifar10', 'CIFAR-100': 'cifar100'}
STUDENTS = {
  'ResNet-18': 'resnet18',
  'MobileNet-V2': 'mobilenet_v2',
  'WRN-34-10': 'wrn_34_10',
}
# What chooses Nature's checkpoint whatever the protocol says: by robust accuracy, which is
# zero, it would be an untrained one.
BY_CLEAN = {'select.metric': 'clean'}
# The files that the papers took their teachers from.
PUBLIC = {
  'teachers/cifar:cifar10,clean': 'mtard_resnet56',
  'teachers/cifar:cifar10,robust': 'trades_wrn_34_10',
  'teachers/cifar:cifar100,clean': 'mtard_wrn_22_6',
  'teachers/cifar:cifar100,robust': 'deepmind_cifar100_wrn_70_16_without',
}

MMARD_PUBLIC = {
  'teachers/mmard:resnet18': 'cifar10/Addepalli2021Towards_RN18',
  'teachers/mmard:wrn_34_10': 'cifar10/Zhang2019Theoretically',
  'teachers/mmard:wrn_34_20': 'cifar10/Cui2020Learnable_34_20',
  'teachers/mmard:wrn_70_16': 'cifar10/Jia2022LAS-AT_70_16',
}


def blocks(data=tuple(DATA), students=('ResNet-18',), cifar100=None):
  """'CIFAR-10, ResNet-18' -> its words, and how the papers' numbers call it.

  Args:
    data: names of data sets.
    students: names of networks.
    cifar100: changes of rows on CIFAR-100.
  """
  return {
    f'{d}, {s}': Block(
      f'{DATA[d]},{STUDENTS[s]}',
      dict(dataset=d, student=s),
      cifar100 if cifar100 and d == 'CIFAR-100' else {},
    )
    for d in data
    for s in students
  }


def named(*rows):
  """Rows with the paper's name of their method in the printed numbers, too."""
  return [
    dataclasses.replace(row, printed={'method': row.name, **row.printed}) for row in rows
  ]


def best_of(where, titles, winner, rows, text):
  """Claims that a row has the largest number of all, one for each block and column."""
  return [
    Claim(
      f'{text}: {block}, {title}',
      tuple(
        Comparison(Cell(f'{block}: {winner}', title), Cell(f'{block}: {row}', title))
        for row in rows
        if row != winner
      ),
    )
    for block in where
    for title in titles
  ]


def taught_by(spec, **entry):
  """An entry of `teachers` whose network one of jaxrkd's configs trains."""
  return configs.teacher(configs.load_spec(spec), **entry)


# MTARD: best W-Robust of all methods, on the test set; the attack is not named, and the code
# evaluates PGD with 20 steps of 0.003.
MTARD = Protocol(
  'MTARD',
  dict(fgsm={}, pgd_sat={}, pgd_trades={}, cw_inf={}),
  select=dict(metric='weighted', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'Every method shows the checkpoint of the largest W-Robust on the test set (section '
    '4.1), by PGD of 20 steps of 0.003, as the released code looks',
    'PGD_trades takes steps of 0.003 as in the released code; the text says 2/255',
    "TRADES trains at its authors' eps 0.031; the text says 8/255 for all",
    'The robust teacher of CIFAR-100 normalises with the constants of CIFAR-10, as in the '
    'released code',
  ),
)
MTARD_ATTACKS = {
  'FGSM': 'fgsm',
  'PGD_sat': 'pgd_sat',
  'PGD_trades': 'pgd_trades',
  'CW_inf': 'cw_inf',
}
# Only rows with a robust teacher have this key.
MTARD_CIFAR100 = {'teachers.robust.config.student.normalisation': 'cifar10'}
# MTARD trains all students on batches of 128; ARD's own code takes 256 on CIFAR-100.
MTARD_ROWS = named(
  Row('Natural', 'natural'),
  Row('SAT', 'sat'),
  Row('TRADES', 'trades'),
  Row('ARD', 'ard', {'batch_size': 128}),
  Row('RSLAD', 'rslad'),
  Row('MTARD', 'mtard'),
)


def mtard_columns(attacks):
  """Clean accuracy, and robust and weighted robust accuracy under each attack."""
  first = next(iter(attacks))
  found = [Shown('Clean', 'clean', dict(attack=first, attack_or_metric='Clean'))]
  for name, column in attacks.items():
    found += [
      Shown(name, column, dict(attack=name, attack_or_metric='Robust')),
      Shown(
        f'W {name}', f'weighted:{column}', dict(attack=name, attack_or_metric='W-Robust')
      ),
    ]
  return found


def mtard_study(item, file, student, black_box=False):
  """Tables 2 to 5: white and black box, two students."""
  where = blocks(students=(student,), cifar100=MTARD_CIFAR100)
  attacks, rows, protocol = MTARD_ATTACKS, MTARD_ROWS, MTARD
  asks = f'Which method gives a {student} the largest mean of clean and robust accuracy?'
  if black_box:
    protocol, attacks, asks = (
      MTARD_BLACK_BOX,
      MTARD_TRANSFER,
      f'{asks[:-1]} under black-box attacks?',
    )
    rows = [row for row in MTARD_ROWS if row.name != 'Natural']
  made = study.over(where, rows)
  if black_box:
    # Its images are made on the robust teacher, whether the method has one or not.
    made = [
      dataclasses.replace(
        row,
        surrogates={
          'robust': (f'teachers/cifar:{DATA[row.printed["dataset"]]},robust', 'last')
        },
      )
      for row in made
    ]
  return study.Study(
    'MTARD',
    item,
    asks,
    protocol,
    made,
    mtard_columns(attacks),
    printed=file,
    claims=best_of(
      where,
      [f'W {name}' for name in attacks],
      'MTARD',
      [row.name for row in rows],
      'MTARD is the best in W-Robust',
    ),
    public=PUBLIC,
  )


MTARD_BLACK_BOX = dataclasses.replace(
  MTARD,
  attacks=dict(
    pgd_from_robust=dict(name='pgd_trades', surrogate='robust'),
    cw_from_robust=dict(name='cw_inf', surrogate='robust'),
    square_100=dict(name='square', queries=100, rescale=True),
  ),
  states=(
    *MTARD.states,
    'Transferred images are made on the robust teacher, with 20 steps of 0.003 and CW with '
    '30 steps',
    'Square has 100 queries of its whole schedule: the paper names no number, and its '
    'values fit this one',
  ),
)
MTARD_TRANSFER = {
  'PGD-20(transfer)': 'pgd_from_robust',
  'CW_inf(transfer)': 'cw_from_robust',
  'SA': 'square_100',
}

# MMARD: best PGD_T of all methods, on the test set; CW with 20 steps.
MMARD = Protocol(
  'MMARD',
  dict(fgsm={}, pgd_sat={}, pgd_trades={}, cw_inf=dict(steps=20), autoattack={}),
  select=dict(metric='robust', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'Every method shows the checkpoint of the largest PGD_T on the test set (section 5.1); '
    'Nature that of the largest clean accuracy',
    'CW takes 20 steps',
    'AutoAttack is its standard version',
  ),
)
MMARD_COLUMNS = [
  Shown('Clean', 'clean', dict(attack_or_metric='Clean')),
  Shown('FGSM', 'fgsm', dict(attack_or_metric='FGSM')),
  Shown('PGD_S', 'pgd_sat', dict(attack_or_metric='PGD_S')),
  Shown('PGD_T', 'pgd_trades', dict(attack_or_metric='PGD_T')),
  Shown('CW', 'cw_inf', dict(attack_or_metric='CW')),
  Shown('AA', 'autoattack', dict(attack_or_metric='AA')),
]
MMARD_ARD = {'method.alpha': 1.0, 'method.temperature': 30.0, 'batch_size': 128}
MMARD_ROWS = named(
  Row('Nature', 'natural', BY_CLEAN),
  Row('SAT', 'sat'),
  Row('TRADES', 'trades'),
  Row('ARD', 'ard', MMARD_ARD),
  Row('IAD', 'iad_1'),
  Row('RSLAD', 'rslad'),
  Row('MTARD', 'mtard'),
  Row('MMARD', 'mmard'),
)


def mmard_study(item, file, data, gains):
  """Tables 3 and 4: one data set, two students."""
  where = blocks((data,), ('ResNet-18', 'MobileNet-V2'))
  rows = [row.name for row in MMARD_ROWS]
  claims = [
    Claim(
      f'MMARD gains {gain} points of AA over RSLAD: {block}',
      (Comparison(Cell(f'{block}: MMARD', 'AA'), Cell(f'{block}: RSLAD', 'AA')),),
    )
    for block, gain in zip(where, gains)
  ]
  return study.Study(
    'MMARD',
    item,
    f'Which method gives students of {data} the largest accuracy under AutoAttack?',
    MMARD,
    study.over(where, MMARD_ROWS),
    MMARD_COLUMNS,
    printed=file,
    claims=[
      *claims,
      *best_of(where, ['AA'], 'MMARD', rows, 'MMARD is the most robust'),
    ],
    deviations=(
      'IAD is IAD-I; the paper copies the numbers of MTARD, here it is trained',
    ),
    public=PUBLIC,
  )


# AKD: the last epoch, PGD-7 and AutoAttack; nothing is selected.
AKD = Protocol(
  'AKD',
  dict(pgd_7=dict(name='pgd', steps=7), autoattack={}),
  # `best` is then the last, and training does not stop to look.
  select=dict(every=50, split='test'),
  checkpoint='last',
  states=(
    'Every row shows the last epoch; the paper names no selection',
    'Steps of PGD-7 are eps/4; at other eps than 8/255 the paper names none',
    "Normalisation, momentum and one-cycle follow the author's public trainer",
  ),
)
AKD_COLUMNS = [
  Shown('Clean', 'clean', dict(attack_or_metric='Clean')),
  Shown('PGD-7', 'pgd_7'),
  Shown('AA', 'autoattack', dict(attack_or_metric='AutoAttack')),
]


# Their last epoch teaches: looking for the best one would cost as much as training them.
UNSELECTED = {'teachers.*.config.select.every': AKD.select['every']}


def akd_study(item, asks, rows, file='', columns=None, seeds=(0,), record=(), **more):
  """A table or figure of AKD."""
  columns = columns or AKD_COLUMNS
  read = {column.attack for column in columns}
  protocol = dataclasses.replace(
    AKD,
    attacks={name: options for name, options in AKD.attacks.items() if name in read},
    seeds=seeds,
    record=record,
  )
  rows = [dataclasses.replace(row, changes={**UNSELECTED, **row.changes}) for row in rows]
  return study.Study('AKD', item, asks, protocol, rows, columns, printed=file, **more)


KINDS = ('conservative', 'maximising')


def akd_settings(item, data, robust, **more):
  """Tables S1 and S2: both settings, three trainings of the teacher, one or four of it.

  Args:
    item: 'Table S1'.
    data: name of the data set.
    robust: what the paper's numbers call AutoAttack there.
    **more: of the study.
  """
  trainings = {'Std.': 'std', 'AT_FFGSM': 'ffgsm', 'AT_PGD-7': 'pgd7'}
  rows = [
    Row(
      f'{training}, {count} model{"s" if count == "4" else ""}',
      f'akd:{DATA[data]},{words},{kind}{",en" if count == "4" else ""}',
      block=kind,
      printed=dict(row=kind, teacher_training=training, n_teachers=count),
    )
    for kind in KINDS
    for training, words in trainings.items()
    for count in ('1', '4')
  ]
  return akd_study(
    item,
    'Which early stopping, which label mixing, and how many teachers?',
    rows,
    f'akd_table{item.split()[-1]}.csv',
    [AKD_COLUMNS[0], Shown('AA', 'autoattack', dict(attack_or_metric=robust))],
    **more,
  )


def akd_radii(item, data, radii, **more):
  """Tables S3 and S4: both settings, teachers of several radii.

  Args:
    item: 'Table S3'.
    data: name of the data set.
    radii: of the teacher, as the paper writes them.
    **more: of the study.
  """
  words = {'0': 'std', '2/255': 'eps2', '8/255': 'eps8', '16/255': 'eps16'}
  # Alpha of the printed lower rows; upper rows all have 0.5.
  alpha = {'0': '0.6', '2/255': '0.6', '8/255': '0.75', '16/255': '0.75'}
  rows = [
    Row(
      f'teacher eps {eps}',
      f'akd:{DATA[data]},{words[eps]},{kind}',
      block=kind,
      at=255 * configs.number(eps),
      line=kind,
      printed=dict(teacher_eps=eps, alpha='0.5' if kind == KINDS[0] else alpha[eps]),
    )
    for kind in KINDS
    for eps in radii
  ]
  return akd_study(
    item,
    'For which radius should the teacher be trained, with which settings?',
    rows,
    f'akd_table{item.split()[-1]}.csv',
    figures=[study.Figure(item, 'sweep', ('Clean', 'AA'), 'eps of the teacher, of 255')],
    **more,
  )


def akd_pair(name, words):
  """A teacher, trained to its end, and the student that imitates it alone."""
  student = Row(f'AKD-{name}', f'akd:cifar10,{words},plain', teacher=name)
  return [Row(name, f'teachers/akd:cifar10,{words}'), student]


# The analyses of single images have two classes: their data, and that of their teachers.
PLANES_AND_CARS = {
  f'{group}data.classes': ('airplane', 'automobile')
  for group in ('', 'teachers.*.config.')
}
MIXES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
DYNAMICS = {'Similarity': 'similarity', 'Improvement': 'improvement'}
RECORDED = [
  (title, images, part)
  for title in DYNAMICS
  for images in ('clean', 'adversarial')
  for part in ('easiest', 'hardest')
]


def dynamics_title(title, images, part):
  """Of a column: 'Improvement, hardest adversarial'."""
  return f'{title}, {part} {images}'


def dynamics_cell(row, title, images, part):
  """A number of a row in such a column."""
  return Cell(row, dynamics_title(title, images, part))


def dynamics_claim(text, *pairs):
  """A claim that the first of each pair is the larger."""
  return Claim(text, tuple(Comparison(*pair) for pair in pairs))


def dynamics_names(name, epoch):
  """Keys of the plain student, of that of an early-stopped teacher, and of alpha 0.3."""
  student = f'AKD-{name}'
  return student, f'{student}, teacher stopped at {epoch}', f'{student}, alpha 0.3'


def dynamics_rows(name, words, epoch):
  """The teachers, and students with early stopping, or with label mixing.

  Args:
    name: of the teacher: 'Std' or 'AT'.
    words: that train it.
    epoch: of early stopping.
  """
  teacher, student = akd_pair(name, words)
  rows = [
    *([] if name == 'Std' else [akd_pair('Std', 'std')[0]]),
    teacher,
    student,
    dataclasses.replace(
      student,
      name=dynamics_names(name, epoch)[1],
      changes={f'teachers.{words}.epoch': epoch},
    ),
    *study.sweep('alpha {}', student, 'method.alpha', MIXES),
  ]
  return [
    dataclasses.replace(row, changes={**PLANES_AND_CARS, **row.changes}) for row in rows
  ]


def dynamics_figures(name, epoch, numbers, order):
  """Similarity, two of probability and improvement, early stopping, label mixing.

  Args:
    name: of the teacher.
    epoch: of early stopping.
    numbers: of the figures.
    order: which images the second and third of them are of.
  """
  student, stopped, _ = dynamics_names(name, epoch)
  both = lambda what: tuple(study.Recorded(what, i) for i in ('clean', 'adversarial'))
  mixes = tuple(f'{student}, alpha {alpha}' for alpha in MIXES)
  alone = [
    study.Figure(
      f'Figure {number}',
      'images',
      recorded=tuple(
        study.Recorded(what, images) for what in ('teacher probability', 'improvement')
      ),
      rows=(student,),
      caption='Probability of the right class by the fully trained teacher, and how much '
      f'more the student gives it; {images} test images, easiest first. The line is a '
      'moving average over 5 % of the images.',
    )
    for number, images in zip(numbers[1:3], order)
  ]
  averages = 'Moving averages over 5 % of the test images, easiest first.'
  return [
    study.Figure(
      f'Figure {numbers[0]}',
      'images',
      recorded=both('similarity'),
      rows=(student,),
      caption='Cosine similarity of the trajectories of student and teacher, test images, '
      'easiest first. The line is a moving average over 5 % of the images.',
    ),
    *alone,
    study.Figure(
      f'Figure {numbers[3]}',
      'images',
      recorded=both('improvement'),
      rows=(student, stopped),
      caption=f'How much more the student gives the right class than its fully trained '
      f'teacher, with and without early stopping. {averages}',
    ),
    study.Figure(
      f'Figure {numbers[4]}',
      'images',
      recorded=both('improvement'),
      rows=(*mixes, student),
      caption=f'The same for values of alpha; the last is 1. {averages}',
    ),
  ]


GALLERIES = [
  study.Figure(
    f'Figure {number}',
    'gallery',
    recorded=(study.Recorded('difficulty', split='train'),),
    label=label,
    caption=f'The easiest and hardest {what} of the training images, by the mean '
    'cross-entropy of standard training over its epochs, the most extreme first.',
  )
  for label, (number, what) in enumerate((('S4', 'planes'), ('S5', 'cars')))
]


def akd_dynamics(item, asks, rows, **more):
  """An analysis of single images."""
  galleries = any(figure.kind == 'gallery' for figure in more['figures'])
  return akd_study(
    item,
    asks,
    rows,
    columns=[
      *AKD_COLUMNS[:2],
      *(
        Shown(dynamics_title(*one), study.Recorded(DYNAMICS[one[0]], *one[1:]))
        for one in RECORDED
      ),
    ],
    record=('train', 'test') if galleries else ('test',),
    difficulty='Std',
    deviations=(
      'Easiest and hardest are a fifth of the test images each, by the mean cross-entropy of '
      'standard training over its epochs',
      'The paper names no epoch of early stopping here; it is that of its other figures',
      'Adversarial images are of PGD-7 against the network and epoch that is looked at',
      'Figures 6, S6, S10 and S11 show "the relative improvement"; drawn is the difference '
      'that the caption of Figure S7 defines',
    ),
    # Both classes have 5,000 training and 1,000 test images.
    only=dict(small=dict(test_limit=2_000)),
    **more,
  )


# AT+ as AKD has it; the generated images are the user's to fetch.
AT_PLUS = {'augment.cutout': 16, 'select.every': 400}
AT_PLUS_DEVIATIONS = (
  'The paper adds a million generated images; give them with '
  '--config.extra.path=cifar10_ddpm.npz, --config.label_smoothing.amount=0.1 and the same '
  'of the teacher, --config.teachers.at_plus.config.extra.path=...',
)


def at_plus_teacher(data, epoch=0):
  """Changes that put the average of AT+ in the place of AKD's own teacher."""
  return {
    'teachers.pgd7': None,
    'teachers.at_plus': taught_by(
      f'teachers/at_plus:{data}', checkpoint='ema', epoch=epoch
    ),
    'teachers.at_plus.config.augment.cutout': 16,
    'teachers.at_plus.config.select.every': 400,
  }


# AT-AKA: selection is not stated; all rows by PGD_trades on the test set.
ATAKA = Protocol(
  'AT-AKA',
  dict(fgsm={}, pgd_trades={}, autoattack={}),
  select=dict(metric='robust', attack=dict(name='pgd_trades'), split='test'),
  states=(
    'The paper states no selection; every row shows the checkpoint of the largest '
    'PGD_trades on the test set, Natural that of the largest clean accuracy',
    'PGD_trades takes 20 steps of 0.003',
    'The paper tunes alpha and prints none; here it is 0.5 under the mean over classes',
    'en-IAD is IAD-I; members of ensembles differ in their seed',
  ),
)
ATAKA_COLUMNS = [
  Shown('Clean', 'clean', dict(attack_or_metric='Clean')),
  Shown('FGSM', 'fgsm', dict(attack_or_metric='FGSM')),
  Shown('PGD_trades-20', 'pgd_trades', dict(attack_or_metric='PGD_trades-20')),
  Shown('AA', 'autoattack', dict(attack_or_metric='AA')),
]
# Of rows that the paper does not have.
UNPRINTED = {'method': ''}
RULES = {'N': 'naive', 'L': 'linear', 'S': 'soft', 'P': 'pareto'}
WIDTH = (
  "The kernel's width is the printed 0.001, at which every particle is on its own; the word "
  'coupled takes the median'
)
