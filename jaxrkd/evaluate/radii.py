"""One classifier in balls of several radii, in one call."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxrkd.attacks import AnyAttack, Attack, Cascade, LogitsFn, Stepwise, Threat
from jaxrkd.attacks.threat import check_threat, told
from jaxrkd.errors import InputError
from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.evaluate.inputs import checked_images


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Radii:
  """Which images withstood an attack in which balls.

  Attributes:
    threats: the balls, the smallest first.
    clean_correct: bool [N].
    robust: bool [radii, N]; what broke in a smaller ball counts as broken in a larger one.
    doubtful: [radii], images on which the attack of that ball met what is no number, or left
      [0, 1] or the ball: the accuracy there may be too high.
  """

  threats: tuple[Threat, ...]
  clean_correct: np.ndarray
  robust: np.ndarray
  doubtful: tuple[int, ...]

  def __repr__(self) -> str:
    parts = [
      f'{told(t)} {100 * a:.2f} %{"*" if doubt else ""}'
      for t, a, doubt in zip(self.threats, self.accuracy, self.doubtful)
    ]
    mark = (
      f' (* the attack met what is no number, or left the ball, on {max(self.doubtful)} '
      'images: this may be too high)'
    )
    return (
      f'Radii on {len(self.clean_correct)} images: {", ".join(parts)}'
      f'{mark if any(self.doubtful) else ""}'
    )

  @property
  def clean_accuracy(self) -> float:
    return float(self.clean_correct.mean())

  @property
  def accuracy(self) -> list[float]:
    """The robust accuracy in each ball."""
    return [float(row.mean()) for row in self.robust]


def attack_radii(
  logits_fn: LogitsFn,
  images: np.ndarray,
  labels: np.ndarray,
  attack: Callable[[Threat], AnyAttack],
  threats: Sequence[Threat],
  **options: Any,
) -> Radii:
  """Attacks images in one ball after the other, from the smallest on.

  An image that broke is not attacked in larger balls, which hold what broke it.

  Args:
    logits_fn: see `attack_images`.
    images: [N, H, W, C], floats in [0, 1] or uint8.
    labels: [N] integers.
    attack: makes it for a ball, such as `attacks.autoattack`.
    threats: balls of one norm.
    **options: of `attack_images`, without `path`, `index` and `threat`.

  Raises:
    InputError: no balls, balls of several norms, an attack that is made already, or as
      `attack_images`.
  """
  if isinstance(attack, Attack | Stepwise | Cascade):
    raise InputError(
      'attack_radii makes the attack anew for each ball; give a function of the ball, such as '
      'attacks.pgd or lambda ball: attacks.pgd(ball, steps=50), instead of an attack'
    )
  for threat in threats:
    check_threat(threat)
  kinds = {type(threat).__name__ for threat in threats}
  if len(kinds) != 1:
    raise InputError(
      f'threats are {", ".join(map(told, threats)) or "empty"}; give balls of one norm, such '
      'as [attacks.Linf(4 / 255), attacks.Linf(8 / 255)]'
    )
  for name in {'path', 'index', 'threat'} & options.keys():
    raise InputError(f'attack_radii takes no {name}; call attack_images for each ball')
  images, labels = checked_images(images, labels)
  ordered = tuple(sorted(threats, key=lambda threat: threat.eps))
  standing, clean, rows = np.arange(len(labels)), None, []
  doubtful, doubts = np.zeros(len(labels), bool), []
  for threat in ordered:
    robust = np.zeros(len(labels), bool)
    if len(standing):
      found = attack_images(
        logits_fn,
        images[standing],
        labels[standing],
        attack(threat),
        threat=threat,
        index=standing,
        **{'keep_images': False, **options},
      )
      clean = found.clean_correct if clean is None else clean
      doubtful[standing] |= (found.not_finite | found.outside).any(axis=1)
      standing = standing[found.robust]
      robust[standing] = True
    rows.append(robust)
    # What is doubtful in a ball stays so in the larger ones.
    doubts.append(int(doubtful.sum()))
  assert clean is not None
  return Radii(ordered, clean, np.stack(rows), tuple(doubts))
