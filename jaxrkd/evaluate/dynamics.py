"""How single images are learned: difficulty, trajectories, similarity, improvement.

Maroto et al., "On the benefits of knowledge distillation for adversarial robustness",
sections 3 and D, E; all in numpy, from what `trajectories` recorded.
"""

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.evaluate.trajectories import Trajectories

# Least probability, so that a difficulty stays a number.
LEAST = np.finfo(np.float32).tiny


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
      f'recordings of {list(student.shape)} and {list(teacher.shape)} epochs and images '
      'cannot be compared; record both trainings on the same images for as many epochs'
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
  """Raises `InputError` unless two recordings are of the same images in one order."""
  if not (
    np.array_equal(first.place, second.place)
    and np.array_equal(first.label, second.label)
  ):
    raise InputError(
      'the recordings are of different images; record both trainings on one data set'
    )
