"""How robust a network in integers is: it is asked for answers, for it has no gradients."""

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrkd.attacks import Threat, square
from jaxrkd.evaluate.attack_images import attack_images
from jaxrkd.experiment.export_check import CheckImages
from jaxrkd.interop.from_numpy import from_numpy

Predict = Callable[[np.ndarray], np.ndarray]


def query_accuracy(
  predict: Predict,
  ours: Predict,
  seen: CheckImages,
  threat: Threat,
  classes: int,
  queries: int,
  count: int,
  seed: int,
) -> dict[str, Any]:
  """Accuracies of a file in integers under Square, and of the float network beside it.

  Args:
    predict: the file's network.
    ours: the float network that it was made of.
    seen: the images; adversarial ones were made on the float network.
    threat: the ball.
    classes: number of logits.
    queries: of the attack, for each image.
    count: images that are attacked, the first ones.
    seed: of its random numbers.

  Returns:
    'query' and 'query_here', the accuracies of the two under the attack; 'worst', the share
    of these images on which the file withstands it and the transferred images; 'queries' and
    'query_images'.
  """
  images, labels = seen.clean[:count], seen.label[:count]
  robust = {}
  for name, asked in (('query', predict), ('query_here', ours)):
    # What it would say of gradients is the reason for this attack.
    with contextlib.redirect_stdout(io.StringIO()):
      found = attack_images(
        from_numpy(asked, classes),
        images,
        labels,
        square(threat, queries=queries, rescale=True),
        threat=threat,
        seed=seed,
        keep_images=False,
        check=False,
      )
    robust[name] = found.robust
  transferred = np.asarray(predict(seen.adversarial[:count])).argmax(-1) == labels
  return {
    **{name: float(right.mean()) for name, right in robust.items()},
    'worst': float((robust['query'] & transferred).mean()),
    'queries': queries,
    'query_images': len(labels),
  }
