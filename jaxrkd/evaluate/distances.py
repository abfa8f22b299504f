"""How far the nearest adversarial image of each image is: accuracy in balls of every size."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import ATTACKS, L1, L2, Linf, LogitsFn, Stepwise, Threat
from jaxrkd.attacks.doors import class_count
from jaxrkd.attacks.minimum_norm import minimum_norm_attack, to_the_end
from jaxrkd.attacks.threat import check_threat
from jaxrkd.errors import InputError
from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.evaluate.inputs import checked_images
from jaxrkd.evaluate.verdicts import Verdicts
from jaxrkd.paths import expanded

# What is asked where nobody says: quick searches that end near.
USUAL: dict[type, tuple[str, ...]] = {
  Linf: ('fab_t', 'deepfool'),
  L2: ('fab_t', 'ddn'),
  L1: ('fab_t',),
}
# Behind what is printed, where an attack has a star.
MARK = (
  ' (* met what is no number, or left [0, 1], on some images: distances may be too large)'
)
# Of a distance, in float32.
ROUNDING = 1e-6
# Points of a curve that is kept.
POINTS = 100


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Distances:
  """How far adversarial images were found; each is an upper bound of the nearest one's.

  Attributes:
    norm: of the distances, such as 'Linf'.
    clean_correct: bool [N].
    by_attack: name -> float32 [N], infinite where it found none, 0 where the image is wrong
      without an attack.
    unconfirmed: name -> images that its search took for adversarial and a second look did
      not: they count as found.
    not_finite: name -> images on which it met what is no number.
    outside: name -> images where what it found lies outside [0, 1], which does not count.
    seconds: name -> how long it took.
  """

  norm: str
  clean_correct: np.ndarray
  by_attack: dict[str, np.ndarray]
  unconfirmed: dict[str, int]
  not_finite: dict[str, int]
  outside: dict[str, int]
  seconds: dict[str, float]

  def __repr__(self) -> str:
    star = lambda name: '*' if self.not_finite.get(name) or self.outside.get(name) else ''
    told = (
      f'Distances of {len(self.clean_correct)} images: {self.norm} {self.median:.4g} in the '
      f'middle, by {", ".join(name + star(name) for name in self.by_attack)}'
    )
    return told + (MARK if any(map(star, self.by_attack)) else '')

  @property
  def distance(self) -> np.ndarray:
    """The nearest that any attack found, [N]."""
    return np.min(list(self.by_attack.values()), axis=0)

  @property
  def median(self) -> float:
    """Of all images: half of them are robust in a ball of this radius."""
    return float(np.median(self.distance))

  def robust_accuracy(self, eps: float) -> float:
    """Share of the images without an adversarial image within `eps`: an upper bound."""
    # A distance that float32 rounded up beyond the radius that it stands for is within it.
    return float(np.mean(self.distance.astype(np.float64) > float(eps) * (1 + ROUNDING)))

  def curve(self) -> list[tuple[float, float]]:
    """(eps, robust accuracy), from 0 to where the last image that fell did.

    Every step of the accuracy of up to `POINTS` images, as many evenly spaced ones of more.
    """
    far = np.sort(self.distance[np.isfinite(self.distance)])
    steps = np.unique(np.concatenate([[0.0], far]))
    if len(steps) > POINTS:
      steps = steps[np.linspace(0, len(steps) - 1, POINTS).round().astype(int)]
    return [(float(eps), self.robust_accuracy(float(eps))) for eps in steps]

  def bounded(self, name: str, broken: np.ndarray, eps: float) -> 'Distances':
    """With what another attack proved: where it broke an image, there is one within eps.

    Args:
      name: of the attack.
      broken: bool [N], whether it found an adversarial image; images that are wrong without
        an attack may count as broken.
      eps: radius of its ball, in the same norm.
    """
    within = np.float32(eps)
    if float(within) > float(eps):
      within = np.nextafter(within, np.float32(0))
    proved = np.where(broken, within, np.float32(np.inf))
    proved = np.where(self.clean_correct, proved, np.float32(0))
    return dataclasses.replace(self, by_attack={**self.by_attack, name: proved})

  def as_dict(self) -> dict[str, Any]:
    """What results.json keeps; a distance that is infinite is None."""
    return {
      'norm': self.norm,
      'images': len(self.clean_correct),
      'clean': float(self.clean_correct.mean()),
      'median': _number(self.median),
      'attacks': {name: self._attack(name) for name in self.by_attack},
      'curve': self.curve(),
    }

  def _attack(self, name: str) -> dict[str, Any]:
    distance = self.by_attack[name]
    tried, nearest = distance[self.clean_correct], self.distance[self.clean_correct]
    found = tried[np.isfinite(tried)]
    return {
      'median': _number(float(np.median(distance))),
      # Of the images that are right, where it found anything.
      'mean': float(found.mean()) if len(found) else None,
      'tried': len(tried),
      'found': len(found),
      'nearest': int(np.sum(np.isfinite(tried) & (tried <= nearest))),
      'unconfirmed': self.unconfirmed.get(name, 0),
      'not_finite': self.not_finite.get(name, 0),
      'outside': self.outside.get(name, 0),
      'seconds': round(self.seconds.get(name, 0.0), 3),
    }


def minimum_norm(
  logits_fn: LogitsFn,
  images: np.ndarray,
  labels: np.ndarray,
  threat: Threat,
  *,
  attacks: Sequence[str] | Mapping[str, Stepwise] = (),
  batch_size: int = 256,
  seed: int = 0,
  index: np.ndarray | None = None,
  path: str | pathlib.Path | None = None,
  title: str = '',
  check: bool = True,
) -> Distances:
  """Searches the nearest adversarial image of each image, in a ball or not.

  Args:
    logits_fn: see `attack_images`.
    images: [N, H, W, C], floats in [0, 1] or uint8.
    labels: [N] integers.
    threat: whose norm measures the distance. Its radius is where restarts of `fab` begin.
    attacks: rows of `attacks.ATTACKS` that look for the nearest image, with their defaults,
      or attacks of your settings by name; by default those of `USUAL`.
    batch_size: see `attack_images`.
    seed: see `attack_images`.
    index: see `attack_images`.
    path: an .npz file: what each attack found lies beside it, with the attack's name. Called
      again with the same arguments, it goes on where it was.
    title: see `attack_images`.
    check: see `attack_images`.

  Raises:
    InputError: an attack that does not look for the nearest image, or as `attack_images`.
  """
  check_threat(threat)
  chosen = attacks_of(threat, attacks)
  some, _ = checked_images(images, labels)
  classes = class_count(logits_fn, jnp.asarray(some[:1], jnp.float32))
  found = {}
  for name, attack in chosen.items():
    own = None
    if path is not None:
      own = expanded(path)
      own = own.with_name(f'{own.stem}-{name}{own.suffix}')
    found[name] = attack_images(
      logits_fn,
      images,
      labels,
      to_the_end(attack, classes, threat),
      batch_size=batch_size,
      seed=seed,
      index=index,
      path=own,
      keep_images=False,
      title=f'{title} {name}' if title else '',
      check=check,
    )
  return of_verdicts(found, threat)


def attacks_of(
  threat: Threat, attacks: Sequence[str] | Mapping[str, Stepwise] = ()
) -> dict[str, Stepwise]:
  """Minimum-norm attacks by name; arguments and errors as `minimum_norm`."""
  if not attacks:
    attacks = USUAL.get(type(threat), ())
    if not attacks:
      raise InputError(f'no attack is known to measure distances in {threat}; name some')
  if isinstance(attacks, Mapping):
    return {name: minimum_norm_attack(made, name) for name, made in attacks.items()}
  found = {}
  for name in attacks:
    made = ATTACKS[name](threat) if name in ATTACKS else None
    found[name] = minimum_norm_attack(made, name)
  return found


def of_verdicts(verdicts: Mapping[str, Verdicts], threat: Threat) -> Distances:
  """What was found by attacks that `to_the_end` made, together.

  Args:
    verdicts: by the names of the attacks, on the same images.
    threat: whose norm the distances have.
  """
  first = next(iter(verdicts.values()))
  by_attack, unconfirmed = {}, {}
  for name, found in verdicts.items():
    assert found.distance is not None
    by_attack[name] = found.distance
    # Where the searched and the measured network disagree by rounding, the nearer counts.
    unconfirmed[name] = int(np.sum(found.robust & np.isfinite(found.distance)))
  return Distances(
    norm=type(threat).__name__,
    clean_correct=first.clean_correct,
    by_attack=by_attack,
    unconfirmed=unconfirmed,
    not_finite={
      name: int(found.not_finite.any(axis=1).sum()) for name, found in verdicts.items()
    },
    outside={
      name: int(found.outside.any(axis=1).sum()) for name, found in verdicts.items()
    },
    seconds={
      name: sum(found.about['seconds'].values()) for name, found in verdicts.items()
    },
  )


def _number(value: float) -> float | None:
  return value if np.isfinite(value) else None
