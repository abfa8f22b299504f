"""How single images are learned: difficulty, trajectories, similarity, improvement.

Maroto et al., "On the benefits of knowledge distillation for adversarial robustness",
sections 3 and D, E; all in numpy, from what `trajectories` recorded.
"""

import numpy as np

from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate.trajectories import Trajectories

# What there is to tell of each image -> its unit; cosines have none.
UNITS = {
  'entropy': 'nats',
  'probability': '%',
  'teacher probability': '%',
  'similarity': '',
  'improvement': '%',
  'difficulty': 'nats',
}
QUANTITIES = tuple(UNITS)
# Those that compare a student with its teacher.
OF_TEACHERS = ('teacher probability', 'similarity', 'improvement')
IMAGES = ('clean', 'adversarial')
# Which images an average is over; the ends are a fifth each.
PARTS = ('all', 'easiest', 'hardest')
END = 0.2
# Least probability, so that a difficulty stays a number.
LEAST = np.finfo(np.float32).tiny


def measure(
  what: str, images: str, student: Trajectories, teacher: Trajectories | None = None
) -> np.ndarray:
  """A quantity of each image, [N], in the units of `UNITS`.

  Args:
    what: one of `QUANTITIES`; `entropy` and the probabilities are those of the last epoch.
    images: one of `IMAGES`; entropies are recorded of clean ones only.
    student: its recording.
    teacher: of its teacher, for `OF_TEACHERS`.

  Raises:
    InputError: an unknown quantity, no teacher where one is needed, recordings of other
      images or epochs, or a recording that is not finished.
  """
  one_of(what, QUANTITIES, 'what')
  one_of(images, IMAGES, 'images')
  if what == 'entropy' and images != 'clean':
    raise InputError("entropies are recorded of clean images only; give images='clean'")
  for one in filter(None, (student, teacher)):
    if one.done < len(one.clean):
      raise InputError(
        f'a recording has {one.done} of {len(one.clean)} epochs; finish its training first'
      )
  own = getattr(student, images)
  if what in OF_TEACHERS:
    if teacher is None:
      raise InputError(f'{what} needs the recording of a teacher')
    same_images(student, teacher)
    other = getattr(teacher, images)
    if what == 'similarity':
      return similarity(own, other)
    if what == 'improvement':
      return 100 * improvement(own, other)
    return 100 * other[-1].astype(np.float64)
  if what == 'difficulty':
    return difficulty(own)
  if what == 'entropy':
    return student.entropy[-1].astype(np.float64)
  return 100 * own[-1].astype(np.float64)


def by_epoch(what: str, images: str, recording: Trajectories) -> np.ndarray:
  """The mean over all images after each epoch, [epochs] (Figure 4: the entropy).

  Args:
    what: 'entropy' or 'probability'.
    images: one of `IMAGES`; entropies are recorded of clean ones only.
    recording: of a training; epochs that are missing are NaN.
  """
  one_of(what, ('entropy', 'probability'), 'what')
  if what == 'entropy':
    return recording.entropy.mean(1, dtype=np.float64)
  return 100 * getattr(recording, one_of(images, IMAGES, 'images')).mean(
    1, dtype=np.float64
  )


def part(hard: np.ndarray, name: str) -> np.ndarray:
  """Positions of the images of one of `PARTS`.

  Args:
    hard: difficulties, [N].
    name: 'all' in their order, or a fifth: 'easiest' or 'hardest', the most extreme first.
  """
  if one_of(name, PARTS, 'part') == 'all':
    return np.arange(len(hard))
  order, count = easiest_first(hard), max(round(END * len(hard)), 1)
  return order[:count] if name == 'easiest' else order[::-1][:count]


def difficulty(probability: np.ndarray) -> np.ndarray:
  """S(x) of equation 6: the mean cross-entropy of each image over the epochs, [N].

  Args:
    probability: [epochs, N], of the right class; of standard training (appendix D).
  """
  return -np.log(np.maximum(probability.astype(np.float64), LEAST)).mean(0)


def easiest_first(hard: np.ndarray) -> np.ndarray:
  """Positions of images by difficulty; equally hard ones stay in their order."""
  return np.argsort(hard, kind='stable')


def similarity(
  student: np.ndarray, teacher: np.ndarray, how: str = 'cosine'
) -> np.ndarray:
  """How alike two trainings learn each image, [N] (Figures 5 and S9).

  Args:
    student: [epochs, N], probability of the right class.
    teacher: the same, of as many epochs.
    how: 'cosine' as in the figures, 'inner' as in the text: the inner product.

  Raises:
    InputError: other numbers of epochs or images, or an unknown `how`.
  """
  if student.shape != teacher.shape:
    raise InputError(
      f'a student with {len(student)} epochs of {student.shape[1]} images is compared with a '
      f'teacher with {len(teacher)} epochs of {teacher.shape[1]}; train both for the same '
      'number of epochs and record the same images'
    )
  a, b = student.astype(np.float64), teacher.astype(np.float64)
  inner = (a * b).sum(0)
  if how == 'inner':
    return inner
  if how != 'cosine':
    raise InputError(f'how is {how!r}; choose cosine or inner')
  lengths = np.sqrt((a * a).sum(0) * (b * b).sum(0))
  return inner / np.maximum(lengths, LEAST)


def improvement(
  student: np.ndarray, teacher: np.ndarray, how: str = 'difference'
) -> np.ndarray:
  """p_S,K - p_T,K of each image, [N] (Figures 6 and S6 to S13).

  Args:
    student: [epochs, N], probability of the right class; its last row counts.
    teacher: the same.
    how: 'difference', or 'ratio' for the relative improvement.
  """
  last, before = student[-1].astype(np.float64), teacher[-1].astype(np.float64)
  if how == 'ratio':
    return (last - before) / np.maximum(before, LEAST)
  if how != 'difference':
    raise InputError(f'how is {how!r}; choose difference or ratio')
  return last - before


def smoothed(values: np.ndarray, share: float = 0.05) -> np.ndarray:
  """Centred moving average over a share of the values; shorter at both ends.

  Args:
    values: [N], in the order in which they are drawn.
    share: of N; an even width becomes the next odd one.
  """
  count = len(values)
  half = max(round(share * count), 1) // 2
  sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
  low = np.maximum(np.arange(count) - half, 0)
  high = np.minimum(np.arange(count) + half + 1, count)
  return (sums[high] - sums[low]) / (high - low)


def extremes(
  hard: np.ndarray, label: np.ndarray, count: int = 32
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
  """The easiest and hardest images of each class (Figures S4 and S5).

  Args:
    hard: difficulties, [N].
    label: [N].
    count: of each; fewer where a class has fewer.

  Returns:
    class -> (positions, easiest first; positions, hardest first).
  """
  found = {}
  for number in np.unique(label):
    own = np.flatnonzero(label == number)
    order = own[easiest_first(hard[own])]
    found[int(number)] = (order[:count], order[::-1][:count])
  return found


def same_images(first: Trajectories, second: Trajectories) -> None:
  """Raises `InputError` unless two recordings are of the same images under one attack."""
  if not (
    np.array_equal(first.place, second.place)
    and np.array_equal(first.label, second.label)
  ):
    raise InputError(
      'the recordings are of different images; record both trainings on one data set'
    )
  for key in ('attack', 'threat'):
    if first.about.get(key) != second.about.get(key):
      raise InputError(
        f'the recordings differ in the {key}: {first.about.get(key)} and '
        f'{second.about.get(key)}; record both trainings with the same {key}'
      )
