"""Accuracy of a network against the radius of the ball, for curves of several networks."""

import jax
import numpy as np

from jaxrkd.attacks import Threat
from jaxrkd.attacks.lanes import ladder
from jaxrkd.evaluate.probe import Probe
from jaxrkd.evaluate.robustness import Loaded, evaluate_clean
from jaxrkd.evaluate.task import Images, Subject

# Radii, in units of the threat set's.
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
PGD_STEPS = 20


def accuracy_against_eps(
  subject: Subject,
  loaded: Loaded,
  threat: Threat,
  key: jax.Array,
  images: int = 100,
) -> list[tuple[float, float]]:
  """(eps, accuracy under PGD-20) for growing eps, from 0, on the first images.

  An image that broke in a smaller ball counts as broken in the larger ones, which hold what
  broke it. All networks are asked about the same images, right or wrong.

  Args:
    subject: the network.
    loaded: the split.
    threat: whose norm is used, and whose eps is the unit.
    key: for random numbers.
    images: how many at most.
  """
  rows = np.arange(min(images, len(loaded.images)))
  every = loaded.images
  part = Images(every.image[rows], every.label[rows], every.index[rows])
  fits = (s for s in ladder(loaded.batch_size, loaded.mesh.size) if s >= len(rows))
  near = Loaded(part, next(fits, loaded.batch_size), loaded.mesh)
  right = evaluate_clean(subject, near, key).right(part.label)
  found = [(0.0, float(np.mean(right)))]
  probe = Probe(near, key, threat, subject)
  for factor in FACTORS:
    eps = factor * threat.eps
    if right.any():
      right = right & probe.withstands(eps, PGD_STEPS)
    found.append((float(eps), float(np.mean(right))))
  return found
