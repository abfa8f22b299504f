"""Whether a converted network answers as PyTorch does."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop import torch_net
from jaxrkd.interop.state_dict import to_state_dict
from jaxrkd.models import Net, plain_convolutions
from jaxrkd.runtime.precision import float32_products

Tree = Any
CHECKED_IMAGES = 16
# Of the largest logit: rounding of float32 in another order stays well below.
TOLERANCE = 1e-3


def check_logits(
  net: Net,
  variables: tuple[Tree, Tree],
  node: Mapping[str, Any],
  image_shape: Sequence[int],
  where: str,
  other: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, Any]:
  """Holds logits of random images against PyTorch's.

  Args:
    net: the network, in float32.
    variables: its (params, stats).
    node: the resolved `student` group.
    image_shape: (H, W, C).
    where: the file, for messages.
    other: computes the logits to compare with; by default PyTorch, from the weights.

  Returns:
    'images', 'largest_difference' and 'largest_logit'; or 'skipped' and why.

  Raises:
    InputError: they differ by more than rounding.
  """
  if other is None:
    if not torch_net.installed():
      return {'skipped': 'torch is not installed'}
    if torch_net.family(node['name']) is None:
      return {'skipped': f'{node["name"]} has no PyTorch counterpart here'}
    other = torch_net.torch_logits(node, to_state_dict(*variables), image_shape[-1])
  rng = np.random.default_rng(0)
  images = rng.random((CHECKED_IMAGES, *image_shape), np.float32)
  with plain_convolutions(), float32_products():
    ours = np.asarray(jax.jit(lambda *a: net.apply(*a))(*variables, jnp.asarray(images)))
  theirs = other(images)
  difference, size = float(np.abs(ours - theirs).max()), float(np.abs(theirs).max())
  if not difference <= TOLERANCE * max(size, 1.0):
    raise InputError(
      f'{where}: logits of {node["name"]} differ from PyTorch by {difference:.3g} (largest '
      f'logit {size:.3g}), more than rounding; this is a defect, please report it with the '
      'network that was asked for'
    )
  return {
    'images': CHECKED_IMAGES,
    'largest_difference': difference,
    'largest_logit': size,
  }
