"""How much larger one measurement is than another, with a 95 % interval."""

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

# Half of what an interval leaves out.
TAIL = 0.025
# Fewer images that differ cannot tell a difference from chance: 0.5 ** 5 > 0.025.
FEWEST = 6


class OfImages(NamedTuple):
  """A quantity of images.

  Attributes:
    value: [N].
    place: [N], of each image in its source.
  """

  value: np.ndarray
  place: np.ndarray


class Gap(NamedTuple):
  """A difference.

  Attributes:
    middle: the difference.
    low: where its interval begins.
    high: where it ends.
    over: what the interval is over: '3 seeds', '1000 images'.
  """

  middle: float
  low: float
  high: float
  over: str


def difference(
  left: Mapping[int, float],
  left_images: Mapping[int, OfImages],
  right: Mapping[int, float],
  right_images: Mapping[int, OfImages | float],
) -> Gap | None:
  """How much more the left has, over the seeds that both have; None without such a seed.

  From three seeds on that differ, Student's interval over the paired seeds. Otherwise over
  images: paired where both sides have the same, else as two samples; the images of two seeds
  are taken to tell no more than those of one. An interval that nothing can tell is infinite.

  Args:
    left: by seed.
    left_images: by seed, what `left` are the means of; may lack seeds.
    right: by seed.
    right_images: the same, or the number that all images are compared with.
  """
  seeds = sorted(left.keys() & right.keys())
  if not seeds:
    return None
  gaps = [left[seed] - right[seed] for seed in seeds]
  middle = statistics.fmean(gaps)
  if len(seeds) > 2 and statistics.stdev(gaps) > 0:
    error = statistics.stdev(gaps) / math.sqrt(len(seeds))
    half = float(stats.t.ppf(1 - TAIL, len(seeds) - 1)) * error
    return Gap(middle, middle - half, middle + half, f'{len(seeds)} seeds')
  below, above, counts = [], [], []
  for seed, gap in zip(seeds, gaps):
    mine, theirs = left_images.get(seed), right_images.get(seed)
    if mine is None or theirs is None:
      return Gap(middle, -math.inf, math.inf, 'images not kept')
    low, high = _over_images(mine, theirs)
    below.append(gap - low)
    above.append(high - gap)
    counts.append(len(mine.value))
  low = middle - statistics.fmean(below)
  return Gap(middle, low, middle + statistics.fmean(above), f'{min(counts)} images')


def _over_images(mine: OfImages, theirs: OfImages | float) -> tuple[float, float]:
  """The interval of a difference of means over images."""
  if not isinstance(theirs, OfImages):
    low, high = _of_one(mine.value)
    return low - theirs, high - theirs
  if np.array_equal(mine.place, theirs.place):
    return _of_pairs(mine.value - theirs.value)
  (low, high), (other_low, other_high) = map(_of_one, (mine.value, theirs.value))
  left, right = float(mine.value.mean()), float(theirs.value.mean())
  # Distances to the ends of independent means, added as variances are.
  below = math.hypot(left - low, other_high - right)
  above = math.hypot(high - left, right - other_low)
  return left - right - below, left - right + above


def _of_one(values: np.ndarray) -> tuple[float, float]:
  """Of one mean: Clopper and Pearson's where each image is 0 or 100, else Student's."""
  if np.isin(values, (0, 100)).all():
    low, high = _of_share(int((values > 0).sum()), int((values == 0).sum()))
    return 100 * low, 100 * high
  return _students(values)


def _of_pairs(values: np.ndarray) -> tuple[float, float]:
  """Of a mean of differences: Student's, and of verdicts by their signs, too."""
  moved = np.abs(values[values != 0])
  if len(moved) < FEWEST:
    return -math.inf, math.inf
  if moved.min() < moved.max():
    return _students(values)
  # Given how many differ, the number of positive ones is binomial (McNemar's test). How many
  # differ is chance, too, which Student's has in it: the wider end of both.
  low, high = _of_share(int((values > 0).sum()), int((values < 0).sum()))
  size = float(moved.sum()) / len(values)
  wide_low, wide_high = _students(values)
  return min(size * (2 * low - 1), wide_low), max(size * (2 * high - 1), wide_high)


def _of_share(hits: int, misses: int) -> tuple[float, float]:
  """Clopper and Pearson's interval of a probability."""
  low = float(stats.beta.ppf(TAIL, hits, misses + 1)) if hits else 0.0
  high = float(stats.beta.ppf(1 - TAIL, hits + 1, misses)) if misses else 1.0
  return low, high


def _students(values: np.ndarray) -> tuple[float, float]:
  spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
  if not spread:
    return -math.inf, math.inf
  middle = float(values.mean())
  half = float(stats.t.ppf(1 - TAIL, len(values) - 1)) * spread / math.sqrt(len(values))
  return middle - half, middle + half
