"""Whether robust accuracies can be believed: known signs of attacks that fail to attack.

A model may look robust because its gradients are useless, its answers random, or the
attack weak (Athalye et al., 2018, 1802.00420; Carlini et al., 2019, 1902.06705). Each check
is a number with two limits. What is rated are the columns of a table of results, where
there is one: on the images of the checks stronger attacks are tried against them.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxrkd.attacks import L2, Cascade, Linf, Threat, autoattack
from jaxrkd.attacks.lanes import ladder
from jaxrkd.evaluate.evaluator import Evaluation
from jaxrkd.evaluate.probe import Probe
from jaxrkd.evaluate.robustness import Loaded, evaluate_clean, measure
from jaxrkd.evaluate.table_checks import Column, Share, Table
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.evaluate.trust_limits import ENOUGH, LIMITS, SEVERITY, Check, check, worst

Array = jax.Array
# Radii of the curve, in units of the threat set's; the last point is `everything`.
FACTORS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0)
PGD_STEPS, APGD_STEPS, QUERIES = 20, 30, 300
# Steps of a PGD that has more than enough.
MANY_STEPS = 100
# How far answers may move, relative to the largest, and still be compared.
STEADY = 1e-4


@dataclasses.dataclass(frozen=True)
class Panel:
  """All checks of one network.

  Attributes:
    checks: in the order of `LIMITS`.
    curve: (eps, accuracy under PGD) for growing eps.
    images: how many were used, of those that are right without an attack.
  """

  checks: tuple[Check, ...]
  curve: tuple[tuple[float, float], ...]
  images: int

  def __str__(self) -> str:
    lines = [f'{self.status}: checks on {self.images} images that are right']
    for one in self.checks:
      value = '' if one.value is None else f'  {one.value:.3g} {one.unit}'.rstrip()
      lines.append(f'  {one.status}  {one.name}{value}')
      if one.status in ('warn', 'fail'):
        lines.append(f'        {one.advice}')
    return '\n'.join(lines)

  @property
  def status(self) -> str:
    """The worst of the checks; 'none' if none could be made."""
    return worst({check.status for check in self.checks})

  def as_dict(self) -> dict[str, Any]:
    """What results.json holds."""
    return {
      'status': self.status,
      'images': self.images,
      'checks': [dataclasses.asdict(check) for check in self.checks],
      'curve': [list(point) for point in self.curve],
    }


def everything(threat: Threat, pixels: int) -> float:
  """A radius that holds one image, evenly grey, for all clean ones."""
  if isinstance(threat, Linf):
    return 0.5
  return math.sqrt(pixels) / 2 if isinstance(threat, L2) else pixels / 2


def panel(
  subject: Subject,
  loaded: Loaded,
  threat: Threat,
  key: Array,
  *,
  images: int = 100,
  surrogates: Mapping[str, Subject] | None = None,
  unsteady: float = 0.0,
  table: Mapping[str, Column] | None = None,
) -> Panel:
  """Makes all checks.

  Args:
    subject: the network that is measured.
    loaded: images; the first that are right without an attack are used.
    threat: the ball that is asked about.
    key: for random numbers.
    images: how many to use at most.
    surrogates: other networks for the transfer attack; none skips that check.
    unsteady: how far answers were seen to move outside compiled programs.
    table: the columns of the table that is rated, by name; none judges the panel's own
      attacks alone.

  Raises:
    InputError: columns of other images.
  """
  near, clean = _first_ones(subject, loaded, key, images)
  part = _right_ones(near, clean, images)
  count = len(part.images)
  own = Probe(part, key, threat, subject)
  moves = max(own.unrepeatable(), unsteady) if count else unsteady
  # Answers that change tell nothing about whose they were.
  seen = None if moves > STEADY else (near.images, clean)
  reported = Table(table or {}, threat, part.images, seen)
  if not count:
    return Panel(tuple(check(name, None) for name in LIMITS), (), 0)
  look = functools.partial(Probe, part, key, threat)
  radii = [factor * threat.eps for factor in FACTORS]
  radii.append(max(everything(threat, own.pixels), radii[-1]))
  stays = [own.withstands(eps, PGD_STEPS) for eps in radii]
  accuracy = [float(np.mean(right)) for right in stays]
  at_eps = stays[FACTORS.index(1.0)]
  one_step = own.withstands(threat.eps, 1)
  patient = own.withstands(threat.eps, MANY_STEPS)
  search = measure(subject, part, _stronger(threat), key, threat=threat)
  transferred = [
    ~own.right(look(surrogate).made(threat.eps, PGD_STEPS))
    for surrogate in (surrogates or {}).values()
  ]
  gradients = ~np.isin(search.stage, (0, 1)) & at_eps
  # Whatever the panel broke, by any way. Not the smaller balls of the curve alone: what
  # breaks there lies in this ball, too.
  inside = [right for eps, right in zip(radii, stays) if eps <= threat.eps]
  broken = ~np.all([*inside, one_step, patient, search.robust], axis=0)
  if transferred:
    broken |= np.any(transferred, axis=0)
  # Images of the class that a blank one is taken for may rightly stay.
  blank = own.right(np.full_like(part.images.pixels(np.arange(count)), 0.5))
  flat, no_numbers = own.slopes()
  shares: dict[str, list[Share]] = {
    'a stronger attack was found': reported.beaten(broken),
    'slopes not finite': [Share.of(no_numbers), *reported.not_finite()],
    'zero gradients': [Share.of(flat)],
    'budget too small': reported.impatient(patient) or [Share.of(~patient & at_eps)],
    'FGSM beats PGD': reported.one_step_beats_many() or [Share.of(~one_step & at_eps)],
    'Square beats APGD': [Share.of(search.stage == 2), *reported.square_beats_slopes()],
    'large eps leaves images right': [Share.of(stays[-1][~blank])]
    if not blank.all()
    else [],
    'transfer beats white-box': reported.transfer_beats_own()
    + ([Share.of(np.any(transferred, axis=0) & gradients)] if transferred else []),
  }
  plain: dict[str, float] = {
    'few images': float(max(ENOUGH - count, 0)),
    'repeated outputs differ': moves,
    'accuracy rises with eps': 100 * max(float(np.max(np.diff(accuracy))), 0.0),
  }
  found = [
    check(name, plain[name], count) if name in plain else rated(name, shares[name])
    for name in LIMITS
  ]
  return Panel(tuple(found), tuple(zip(radii, accuracy)), count)


def rated(name: str, shares: Sequence[Share]) -> Check:
  """The check of a share; of several, the one that says most; of none, skipped."""
  checks = [check(name, 100 * share.value, share.images) for share in shares]
  worst_first = sorted(
    checks, key=lambda c: (SEVERITY.index(c.status), -float(c.value or 0))
  )
  return worst_first[0] if worst_first else check(name, None)


@functools.lru_cache(maxsize=8)
def _stronger(threat: Threat) -> Cascade:
  """The same object for the same ball, so that what was compiled is found again."""
  return autoattack(
    threat,
    version='custom',
    parts=('apgd_ce', 'apgd_dlr', 'square'),
    steps=APGD_STEPS,
    queries=QUERIES,
  )


def _first_ones(
  subject: Subject, loaded: Loaded, key: Array, images: int
) -> tuple[Loaded, Evaluation]:
  """The first images, and what the network says about them."""
  every = loaded.images
  # Enough for a network that is right one time in four.
  first = np.arange(min(len(every), 4 * images))
  near = Loaded(_rows(every, first), loaded.batch_size, loaded.mesh)
  return near, evaluate_clean(subject, near, key)


def _right_ones(near: Loaded, clean: Evaluation, images: int) -> Loaded:
  """Those that are right without an attack, in smaller batches if few."""
  rows = np.flatnonzero(clean.right(near.images.label))[:images]
  fits = (s for s in ladder(near.batch_size, near.mesh.size) if s >= len(rows))
  size = next(fits, near.batch_size)
  return Loaded(_rows(near.images, rows), size, near.mesh)


def _rows(images: Images, rows: np.ndarray) -> Images:
  return Images(images.image[rows], images.label[rows], images.index[rows])
