"""How robust a network in integers is: it is asked for answers, for it has no gradients."""

import contextlib
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.attacks import Threat, square
from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.experiment.export_check import CheckImages
from jaxrkd.interop.from_numpy import from_numpy

Predict = Callable[[np.ndarray], np.ndarray]


class QueryAttack(NamedTuple):
  """How files in integers are attacked: by Square, which asks for answers alone.

  Attributes:
    threat: the ball.
    queries: for each image.
    images: how many are attacked, the first ones.
    seed: of its random numbers.
  """

  threat: Threat
  queries: int
  images: int
  seed: int


def query_accuracy(
  predict: Predict, ours: Predict, seen: CheckImages, classes: int, attack: QueryAttack
) -> dict[str, Any]:
  """Accuracies of a file in integers under queries, and of the float network beside it.

  Args:
    predict: the file's network.
    ours: the float network that it was made of.
    seen: the images; adversarial ones were made on the float network.
    classes: number of logits.
    attack: the queries.

  Returns:
    'query' and 'query_here', the accuracies of the two under the attack; 'worst', the share
    of these images on which the file withstands it and the transferred images; 'queries' and
    'query_images'.
  """
  images, labels = seen.clean[: attack.images], seen.label[: attack.images]
  robust = {}
  for name, asked in (('query', predict), ('query_here', ours)):
    # What it would say of gradients is the reason for this attack.
    with contextlib.redirect_stdout(io.StringIO()):
      found = attack_images(
        from_numpy(asked, classes),
        images,
        labels,
        square(attack.threat, queries=attack.queries, rescale=True),
        threat=attack.threat,
        seed=attack.seed,
        keep_images=False,
        check=False,
      )
    robust[name] = found.robust
  transferred = (
    np.asarray(predict(seen.adversarial[: attack.images])).argmax(-1) == labels
  )
  return {
    **{name: float(right.mean()) for name, right in robust.items()},
    'worst': float((robust['query'] & transferred).mean()),
    'queries': attack.queries,
    'query_images': len(labels),
  }
