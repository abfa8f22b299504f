"""Classifiers that are functions of numpy arrays, without gradients."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import whole_number


def from_numpy(
  function: Callable[[np.ndarray], np.ndarray], classes: int
) -> Callable[[jax.Array], jax.Array]:
  """A classifier of numpy arrays as one that attacks can ask.

  Its gradient is zero everywhere, so that attacks that follow gradients stand still.
  `attacks.square` searches at random, with as many queries as it is given; adversarial images
  of a `surrogate` often find more. Robust accuracy from these alone may be far too high, and
  `evaluate.trust_panel` says that there are no gradients.

  Args:
    function: float32 images [B, H, W, C] in [0, 1] -> logits [B, classes], on the host: any
      framework, or a service. It is asked in one process.
    classes: how many there are.

  Raises:
    InputError: `classes` is not 2 or more.
  """
  whole_number(classes, 2, 'classes')

  def asked(images: np.ndarray) -> np.ndarray:
    found = np.asarray(function(np.asarray(images)), np.float32)
    if found.shape != (len(images), classes):
      raise ValueError(
        f'the function gave {found.shape} for {len(images)} images; give logits '
        f'[{len(images)}, {classes}]'
      )
    return found

  @jax.custom_vjp
  def logits_fn(images: jax.Array) -> jax.Array:
    shape = jax.ShapeDtypeStruct((images.shape[0], classes), jnp.float32)
    return jax.pure_callback(asked, shape, images)

  def forward(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    return logits_fn(images), images

  def backward(images: jax.Array, slope: jax.Array) -> tuple[jax.Array]:
    del slope
    return (jnp.zeros_like(images),)

  logits_fn.defvjp(forward, backward)
  return logits_fn
