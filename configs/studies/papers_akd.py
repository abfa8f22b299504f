"""What the studies of AKD share: how it measures, its rows.

The settings and their sources: docs/methods.md, "Paper and code".
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
Row, Shown, Protocol = study.Row, study.Shown, study.Protocol
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell

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
      f'akd:{S.DATA[data]},{words},{kind}{",en" if count == "4" else ""}',
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
    claims=[
      S.larger(
        'A smaller alpha keeps the robustness that a standard teacher costs',
        *(
          ((f'conservative: Std., {count}', 'AA'), (f'maximising: Std., {count}', 'AA'))
          for count in ('1 model', '4 models')
        ),
      ),
      *(
        S.larger(
          f'Four teachers are better than one: {kind}, {training}, {title}',
          (
            (f'{kind}: {training}, 4 models', title),
            (f'{kind}: {training}, 1 model', title),
          ),
        )
        for kind in KINDS
        for training in trainings
        for title in ('Clean', 'AA')
      ),
    ],
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
      f'akd:{S.DATA[data]},{words[eps]},{kind}',
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
    claims=[
      S.larger(
        f'A teacher of a small eps gives more than a standard one: {kind}, {title}',
        ((f'{kind}: teacher eps 2/255', title), (f'{kind}: teacher eps 0', title)),
      )
      for kind in KINDS
      for title in ('Clean', 'AA')
    ],
    **more,
  )


def akd_pair(name, words):
  """A teacher, trained to its end, and the student that imitates it alone."""
  student = Row(f'AKD-{name}', f'akd:cifar10,{words},plain', teacher=name)
  return [Row(name, f'teachers/akd:cifar10,{words}'), student]


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
    'teachers.at_plus': S.taught_by(
      f'teachers/at_plus:{data}', checkpoint='ema', epoch=epoch
    ),
    'teachers.at_plus.config.augment.cutout': 16,
    'teachers.at_plus.config.select.every': 400,
  }
