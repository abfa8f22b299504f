"""Networks that are only evaluated: BatchNorm folded into convolutions, kernels cast once.

In evaluation BatchNorm is a scale and a shift per channel; where it alone reads a
convolution, the scale belongs into the kernel. Modules name such pairs in `FOLDS`: attribute
names, with dots where they lie deeper. A pair's convolution has `dtype`, what it computes in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.models.layers import Conv
from jaxrkd.models.net import Fold, Net
from jaxrkd.models.own import from_nnx

Tree = Any


class Pair(NamedTuple):
  """A convolution and the BatchNorm that alone reads it, as paths into a network's trees.

  Attributes:
    conv: path.
    norm: path.
    epsilon: of the BatchNorm.
    dtype: what the convolution computes in; None is its parameters' type.
  """

  conv: tuple[str, ...]
  norm: tuple[str, ...]
  epsilon: float
  dtype: Any


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
    for conv_path, norm_path, epsilon, dtype in pairs:
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
      shift = norm['bias'] - moving['mean'] * scale
      # Here, or XLA casts it in each of an attack's steps, in a kernel of its own.
      norm['bias'] = shift.astype(dtype or shift.dtype)
    for path, dtype in kernels:
      conv = _at(params, path)
      conv['kernel'] = conv['kernel'].astype(dtype)
    return params, stats

  return net, fold


def _mark(module: nnx.Module) -> list[Pair]:
  """Sets `folded` on every BatchNorm that can be folded."""
  found = []
  for path, owner in nnx.iter_modules(module):
    for pair in getattr(owner, 'FOLDS', ()):
      conv_path, norm_path = (tuple(names.split('.')) for names in pair)
      conv, norm = (_part(owner, names) for names in (conv_path, norm_path))
      norm.folded = True
      root = tuple(map(str, path))
      found.append(
        Pair((*root, *conv_path), (*root, *norm_path), norm.epsilon, conv.dtype)
      )
  return found


def _part(module: Any, names: tuple[str, ...]) -> Any:
  for name in names:
    module = module[int(name)] if isinstance(module, nnx.List) else getattr(module, name)
  return module


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
