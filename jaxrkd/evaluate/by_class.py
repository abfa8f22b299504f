"""Verdicts class by class: counts, the weakest class, and what images are taken for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrkd.evaluate.confidence import wilson
from jaxrkd.evaluate.verdicts import Verdicts

# What an image is taken for whose logits are no numbers.
NOTHING = -1


def by_class(
  verdicts: Mapping[str, Verdicts], worst: np.ndarray
) -> dict[str, list[int] | dict[str, list[int]]]:
  """How many images of each class are right; their sums are those of all images.

  Args:
    verdicts: of every attack.
    worst: [N], whether each image withstands the worst case.

  Returns:
    {'images', 'clean', 'worst_case': counts by class, 'attacks': {name: counts}}.
  """
  first = next(iter(verdicts.values()))
  label = first.label
  count = lambda which: np.bincount(label[which], minlength=int(label.max()) + 1).tolist()
  return {
    'images': count(np.ones(len(label), bool)),
    'clean': count(first.clean_correct),
    'worst_case': count(worst),
    'attacks': {name: count(found.robust) for name, found in verdicts.items()},
  }


def worst_class(counts: Mapping[str, Any]) -> dict[str, Any]:
  """The class of which the fewest images withstand; the first of several.

  Args:
    counts: what `by_class` gives.

  Returns:
    {'class', 'images', 'clean', 'worst_case': shares of the class's images, 'interval':
    Wilson's, 95 %, of the worst case of this class}. That it is the weakest of several
    classes is not part of the interval.
  """
  images = np.asarray(counts['images'])
  there = np.flatnonzero(images)
  share = np.asarray(counts['worst_case'])[there] / images[there]
  number = int(there[np.argmin(share)])
  of = int(images[number])
  return {
    'class': number,
    'images': of,
    'clean': counts['clean'][number] / of,
    'worst_case': counts['worst_case'][number] / of,
    'interval': list(wilson(counts['worst_case'][number], of)),
  }


def confusion(verdicts: Mapping[str, Verdicts]) -> dict[str, list[list[int]]]:
  """What images of each class are taken for, clean and in the worst case.

  An image that several attacks change successfully is taken for what the first of them
  makes of it; one that is wrong as it is, for what it is taken for without an attack.

  Args:
    verdicts: of the attacks that the worst case is taken over.

  Returns:
    {'clean', 'worst_case': [[class, taken for, images], ...]}, in the order of the
    classes, without pairs of no image. `NOTHING` stands for logits that are no numbers.
  """
  first = next(iter(verdicts.values()))
  taken = np.where(first.clean_correct, first.label, first.clean_prediction)
  taken = np.where(~first.clean_correct & (taken == first.label), NOTHING, taken)
  clean, open_yet = taken.copy(), first.clean_correct.copy()
  for found in verdicts.values():
    broken = open_yet & ~found.robust
    other = found.adversarial_prediction
    other = np.where(other == found.label, NOTHING, other)
    taken = np.where(broken, other, taken)
    open_yet &= ~broken
  return {
    'clean': _pairs(first.label, clean),
    'worst_case': _pairs(first.label, taken),
  }


def _pairs(label: np.ndarray, taken: np.ndarray) -> list[list[int]]:
  pairs, counts = np.unique(np.stack([label, taken], -1), axis=0, return_counts=True)
  return [[int(a), int(b), int(n)] for (a, b), n in zip(pairs, counts)]
