"""What the studies of single images of AKD share.

The settings and their sources: docs/methods.md, "Paper and code".
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

S = configs.sibling(__file__, 'papers.py')
P = configs.sibling(__file__, 'papers_akd.py')
Row, Shown, Protocol = study.Row, study.Shown, study.Protocol
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell

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


def cell(row, title, images, part):
  """Where a number of a row stands: the row's key and the column's title."""
  return row, dynamics_title(title, images, part)


def follows_its_teacher(name):
  """Claims that easy images follow the trajectory of the teacher, and hard ones do not."""
  return [
    S.larger(
      f'Easy images follow the trajectory of the teacher, hard ones differ: {images}',
      (
        cell(name, 'Similarity', images, 'easiest'),
        cell(name, 'Similarity', images, 'hardest'),
      ),
    )
    for images in ('clean', 'adversarial')
  ]


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
  teacher, student = P.akd_pair(name, words)
  rows = [
    *([] if name == 'Std' else [P.akd_pair('Std', 'std')[0]]),
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
  return P.akd_study(
    item,
    asks,
    rows,
    columns=[
      *P.AKD_COLUMNS[:2],
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
