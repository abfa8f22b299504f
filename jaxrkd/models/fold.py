"""Networks that are only evaluated: BatchNorm folded into convolutions, kernels cast once.

In evaluation BatchNorm is a scale and a shift per channel; where it alone reads a
convolution, the scale belongs into the kernel. Modules name such pairs in `FOLDS`: attribute
names, with dots where they lie deeper.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.models.layers import Conv
from jaxrkd.models.net import Fold, Net, from_nnx

Tree = Any


class Pair(NamedTuple):
  """A convolution and the BatchNorm that alone reads it, as paths into a network's trees."""

  conv: tuple[str, ...]
  norm: tuple[str, ...]
  epsilon: float


def folded(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Net, Fold]:
  """A network whose BatchNorms only shift where the convolution before can scale.

  Args:
    make: see `from_nnx`.

  Returns:
    The network, for evaluation only, and a function that makes its (params, stats) from
    those of the original, kernels in their compute type. The logits are the same up to
    rounding.
  """
  pairs: list[Pair] = []
  kernels: list[tuple[tuple[str, ...], Any]] = []

  def marked(rngs: nnx.Rngs) -> nnx.Module:
    module = make(rngs)
    pairs[:] = _mark(module)
    kernels[:] = _narrow(module)
    return module

  net = from_nnx(marked)

  def fold(params: Tree, stats: Tree) -> tuple[Tree, Tree]:
    params = jax.tree.map(lambda leaf: leaf, params)  # dictionaries of our own
    for conv_path, norm_path, epsilon in pairs:
      conv, norm, moving = (
        _at(tree, path)
        for tree, path in (
          (params, conv_path),
          (params, norm_path),
          (stats, norm_path),
        )
      )
      scale = norm['scale'] / jnp.sqrt(moving['var'] + epsilon)
      conv['kernel'] = conv['kernel'] * scale
      norm['bias'] = norm['bias'] - moving['mean'] * scale
    for path, dtype in kernels:
      conv = _at(params, path)
      conv['kernel'] = conv['kernel'].astype(dtype)
    return params, stats

  return net, fold


def _mark(module: nnx.Module) -> list[Pair]:
  """Sets `folded` on every BatchNorm that can be folded."""
  found = []
  for path, owner in nnx.iter_modules(module):
    for conv, norm in getattr(owner, 'FOLDS', ()):
      ours: Any = owner
      for name in norm.split('.'):
        ours = ours[int(name)] if isinstance(ours, nnx.List) else getattr(ours, name)
      ours.folded = True
      root = tuple(map(str, path))
      found.append(
        Pair((*root, *conv.split('.')), (*root, *norm.split('.')), ours.epsilon)
      )
  return found


def _narrow(module: nnx.Module) -> list[tuple[tuple[str, ...], Any]]:
  """Convolutions that compute in another type than that of their kernel, and this type."""
  return [
    (tuple(map(str, path)), part.dtype)
    for path, part in nnx.iter_modules(module)
    if isinstance(part, Conv) and part.dtype is not None
  ]


def _at(tree: Tree, path: tuple[str, ...]) -> Tree:
  for name in path:
    tree = tree[name]
  return tree
