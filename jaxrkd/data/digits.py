"""The 1,797 real handwritten digits that scikit-learn carries: 8x8, no download."""

import dataclasses

import numpy as np

from jaxrkd.data.dataset import make_split, split_off
from jaxrkd.data.split import Split

TEST_IMAGES = 450


def digits() -> tuple[Split, Split]:
  """Returns (train, test) of the UCI optical digits, 1,347 and 450 images [8, 8, 1].

  The set has no test part of its own; a quarter is set aside by a fixed rule.
  """
  # Imported here: it takes a second and only this source needs it.
  from sklearn.datasets import load_digits

  found = load_digits()
  levels = np.round(found.images * (255 / 16)).astype(np.uint8)
  whole = make_split(levels[..., None], found.target, 'digits')
  named = dataclasses.replace(whole, names=tuple('0123456789'))
  return split_off(named, TEST_IMAGES)
