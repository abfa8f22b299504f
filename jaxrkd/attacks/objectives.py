"""What an attack raises: functions of images, one value per image.

An objective never mixes images, so a search may sum it over the batch and differentiate
once. Anything with this shape works: pass your own for an adaptive attack.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxrkd import losses
from jaxrkd.errors import InputError

Array = jax.Array
LogitsFn = Callable[[Array], Array]
Objective = Callable[[Array], Array]  # images [B, H, W, C] -> [B]


def of_images(
  objective: Callable[..., Objective], logits_fn: LogitsFn, labels: Array, clean: Array
) -> Objective:
  """An objective of an attack on these images.

  Args:
    objective: (logits_fn, labels) -> objective, or with the clean images as a third
      argument, for one that depends on them: a target, a distance, a detector's answer.
    logits_fn: images -> logits.
    labels: [B].
    clean: [B, H, W, C].
  """
  if _takes_clean(objective):
    return objective(logits_fn, labels, clean)
  return objective(logits_fn, labels)


def _takes_clean(objective: Callable[..., Objective]) -> bool:
  try:
    parameters = inspect.signature(objective).parameters.values()
  except (TypeError, ValueError):
    return False  # built in
  kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
  asked = [p for p in parameters if p.kind in kinds and p.default is p.empty]
  return len(asked) == 3


def check_values(objective: Any, images: Array) -> None:
  """Raises `InputError` unless an objective gives one value for each image.

  Sums, means and several values would let an attack climb something else, unnoticed.

  Args:
    objective: of an attack on these images.
    images: [B, H, W, C], or their shape and type.
  """
  if not callable(objective):
    raise InputError(
      f'the objective of an attack gives a {type(objective).__name__}; it must give a '
      'function of images: (logits_fn, labels) -> (images -> [B])'
    )
  shape = tuple(getattr(jax.eval_shape(objective, images), 'shape', ('nothing',)))
  if shape != (images.shape[0],):
    raise InputError(
      f'the objective of an attack gives {list(shape)} for {images.shape[0]} images; it must '
      f'give one value for each, [{images.shape[0]}]'
    )


def unmasked(logits: Array) -> Array:
  """Logits for losses that divide or subtract them: masked classes are only far behind.

  Minus infinity becomes 10,000 below the largest logit, so that no difference is infinite;
  all other logits stay as they are.
  """
  least = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True)) - 1e4
  return jnp.where(jnp.isneginf(logits), least, logits)


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
    return -jax.nn.relu(kappa - losses.margin(unmasked(logits_fn(images)), labels))

  return objective


def kl_to(logits_fn: LogitsFn, target_logits: Array) -> Objective:
  """KL(target || S(x')) with a fixed target: TRADES (own clean output), RSLAD (teacher's).

  Args:
    logits_fn: images -> logits.
    target_logits: [B, classes].
  """
  return lambda images: losses.kl(target_logits, logits_fn(images))


def all_alike(objective: Objective) -> Objective:
  """One objective for all particles of an image: [n, B, H, W, C] -> [n, B]."""
  return jax.vmap(objective)


def one_each(logits_fns: Sequence[LogitsFn], labels: Array) -> Objective:
  """The cross-entropy of particle i under network i: [n, B, H, W, C] -> [n, B].

  Args:
    logits_fns: n networks of the same classes.
    labels: [B] integers.
  """

  def objective(particles: Array) -> Array:
    if len(particles) != len(logits_fns):
      raise InputError(
        f'there are {len(particles)} particles for {len(logits_fns)} networks; each '
        'network attacks one particle, so give the same number of both'
      )
    logits = [f(x) for f, x in zip(logits_fns, particles)]
    classes = [z.shape[-1] for z in logits]
    if len(set(classes)) > 1:
      raise InputError(
        f'the networks have {", ".join(map(str, classes))} classes; one set of labels '
        'needs networks of the same classes'
      )
    return jnp.stack([losses.cross_entropy(z, labels) for z in logits])

  return objective
