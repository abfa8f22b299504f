"""What the trust checks are called, when they warn and fail, and what that means."""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from jaxrkd.evaluate.confidence import wilson

# Images that are right without an attack, so that passing says something.
ENOUGH = 20


@dataclasses.dataclass(frozen=True)
class Check:
  """One sign.

  Attributes:
    name: of the check.
    status: 'pass', 'warn', 'fail', or 'skip' where it could not be made.
    value: what was measured; None where it was skipped.
    warn: above which value it warns; for shares, where the 95% interval lies above it.
    fail: above which it fails.
    unit: of value and limits: '%' of images, or '' for a plain number.
    advice: one sentence on what it means where it warns or fails, and what to do.
    passed: one sentence on what it means where it passes.
  """

  name: str
  status: str
  value: float | None
  warn: float
  fail: float
  unit: str
  advice: str
  passed: str


class Limit(NamedTuple):
  """When a check warns and fails.

  Attributes:
    warn: above which it warns.
    fail: above which it fails.
    unit: of both.
    advice: see `Check`.
    passed: see `Check`.
  """

  warn: float
  fail: float
  unit: str
  advice: str
  passed: str


LIMITS = {
  'few images': Limit(
    0.0,
    20.0,
    '',
    'The checks need 20 images that are right without an attack, and so many are '
    'missing. A check that fails is still valid, but a check that passes says little; '
    'measure on more images.',
    'There were enough images for the checks.',
  ),
  'repeated outputs differ': Limit(
    1e-5,
    1e-2,
    '',
    'Logits of the same images change from call to call, or with the other images of the '
    'batch: switch BatchNorm and dropout to evaluation mode, or attack the mean over the '
    "randomness (attacks.Randomised, AutoAttack's version rand).",
    'The network gives the same answer to the same image, in every batch.',
  ),
  'a stronger attack was found': Limit(
    0.0,
    1.0,
    '%',
    'An attack of these checks breaks images that the table calls robust: the '
    'accuracies of the table are too high; measure with AutoAttack, or, where it is in the '
    'table, with an attack that knows the defence: through a surrogate, or with gradients of '
    'your own.',
    'None of the attacks of these checks broke an image that the table calls robust.',
  ),
  'slopes not finite': Limit(
    0.0,
    10.0,
    '%',
    'Gradients or logits are infinite or NaN on these images. The attacks ignored such '
    'values and may be too weak: look for square roots, divisions and logarithms at 0 in '
    'the network and its preprocessing.',
    'All gradients that the attacks computed were finite.',
  ),
  'zero gradients': Limit(
    1.0,
    10.0,
    '%',
    'The cross-entropy has no gradient on these images, so that gradient attacks stand '
    'still: look for saturation, quantisation or other steps that block them. Where a margin '
    'loss has a gradient, trust that; where nothing has one, only Square and images made on a '
    'surrogate search, and the accuracy may be far too high.',
    'The cross-entropy has a gradient, so that gradient attacks can move.',
  ),
  'budget too small': Limit(
    1.0,
    5.0,
    '%',
    'PGD with many more steps breaks images that PGD did not break: the attack stops too '
    'early, so use more steps, and APGD, which finds its own step size.',
    'PGD with many more steps broke hardly any more images: the attacks had enough '
    'steps.',
  ),
  'FGSM beats PGD': Limit(
    2.0,
    10.0,
    '%',
    'One step breaks images that 20 steps do not: the loss surface misleads the search, so '
    'use APGD, more steps, smaller steps and restarts.',
    'Many steps broke nearly everything that one step broke.',
  ),
  'Square beats APGD': Limit(
    1.0,
    5.0,
    '%',
    'Random search without gradients breaks images that gradients do not: gradients are '
    'masked, and only black-box or adaptive attacks tell how robust the network is.',
    'Random search without gradients broke hardly anything that gradients did not.',
  ),
  'accuracy rises with eps': Limit(
    1.0,
    5.0,
    '%',
    'A larger ball holds every smaller one, so accuracy under attack must not rise. The '
    'attack fails: use more steps and restarts, or an adaptive loss.',
    'Accuracy under attack falls as the ball grows, as it must.',
  ),
  'large eps leaves images right': Limit(
    0.5,
    5.0,
    '%',
    'This ball is so large that it holds the same grey image for every image. Only '
    'images of the class of the grey image can stay right, and the check leaves these '
    'out. Others stayed right, so PGD, the attack of this check, fails on this network: look '
    'for masked gradients, and at preprocessing outside the network.',
    'In a ball that holds the same grey image for every image, the attack broke nearly '
    'all images, as it should.',
  ),
  'transfer beats white-box': Limit(
    1.0,
    5.0,
    '%',
    'Adversarial images made on another network fool this network where an attack on '
    'this network does not: its gradients are masked, so attack through a smooth '
    'substitute or the surrogate.',
    'Images made on other networks broke hardly anything that an attack on this one did '
    'not.',
  ),
}
STATUSES = ('pass', 'warn', 'fail', 'skip')
SEVERITY = ('fail', 'warn', 'pass', 'skip')


def worst(statuses: Collection[str]) -> str:
  """The worst of the statuses of checks; 'none' if none could be made."""
  return next((s for s in SEVERITY[:-1] if s in statuses), 'none')


def check(name: str, value: float | None, images: int = 0) -> Check:
  """A check with the limits of its name.

  Args:
    name: a key of `LIMITS`.
    value: what was measured; None skips the check.
    images: how many a share is of: few images exceed a limit only where the 95% interval
      of the share lies above it. 0 takes the value as it is.
  """
  warn, fail, unit, advice, passed = LIMITS[name]
  if value is None:
    return Check(name, 'skip', None, warn, fail, unit, advice, passed)
  sure = value
  if images and unit == '%' and np.isfinite(value):
    sure = 100 * wilson(round(value / 100 * images), images)[0]
  # Not a number is no reason for trust.
  status = 'fail' if not sure <= fail else 'warn' if sure > warn else 'pass'
  return Check(name, status, float(value), warn, fail, unit, advice, passed)
