"""How sure a share of images is.

scipy.stats takes most of a second to import, and most commands end without a share.
"""


def wilson(hits: int, images: int) -> tuple[float, float]:
  """Wilson's 95% confidence interval (low, high) of hits / images, for other images."""
  from scipy import stats

  found = stats.binomtest(hits, images).proportion_ci(0.95, method='wilson')
  return float(found.low), float(found.high)


def coin_toss(more: int, fewer: int) -> float:
  """How probably `more` heads or even more come of more + fewer tosses of a fair coin."""
  from scipy import stats

  return float(stats.binomtest(more, more + fewer, alternative='greater').pvalue)
