"""What an attack raises: functions of images, one value per image.

An objective never mixes images, so a search may sum it over the batch and differentiate
once. Anything with this shape works: pass your own for an adaptive attack.
"""

from collections.abc import Callable

import jax

from jaxrkd import losses

Array = jax.Array
LogitsFn = Callable[[Array], Array]
Objective = Callable[[Array], Array]  # images [B, H, W, C] -> [B]


def cross_entropy(logits_fn: LogitsFn, labels: Array) -> Objective:
  """-log p_y: FGSM, PGD, and the inner problem of SAT, MTARD and others.

  Args:
    logits_fn: images [B, H, W, C] in [0, 1] -> logits [B, classes].
    labels: [B] integers.
  """
  return lambda images: losses.cross_entropy(logits_fn(images), labels)


def cw_margin(logits_fn: LogitsFn, labels: Array, kappa: float = 50.0) -> Objective:
  """-max(z_y - max_{j != y} z_j + kappa, 0), the loss of CW_inf.

  With kappa 50 the clamp never acts on ordinary logits and this is the plain margin.

  Args:
    logits_fn: images -> logits.
    labels: [B] integers.
    kappa: confidence at which the attack stops pushing.
  """

  def objective(images: Array) -> Array:
    return -jax.nn.relu(kappa - losses.margin(logits_fn(images), labels))

  return objective


def kl_to(logits_fn: LogitsFn, target_logits: Array) -> Objective:
  """KL(target || S(x')) with a fixed target: TRADES (own clean output), RSLAD (teacher's).

  Args:
    logits_fn: images -> logits.
    target_logits: [B, classes].
  """
  return lambda images: losses.kl(target_logits, logits_fn(images))
