"""`Net`: a network as pure functions over two pytrees, whatever library wrote it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Tree = Any
Fold = Callable[[Tree, Tree], tuple[Tree, Tree]]


class Net(NamedTuple):
  """A classifier of [0, 1] images.

  Attributes:
    init: key -> (params, stats). `params` is what gradients move; `stats` is everything
      else the network keeps, such as running means.
    apply: (params, stats, images [B, H, W, C]) -> logits [B, classes], evaluation mode.
    apply_train: (params, stats, images, mask) -> (logits, new stats), training mode.
      `mask` [B], 0 or 1, says which rows count in batch statistics; None counts all.
    fold: (params, stats) -> those of `folded`, where there is such a network.
    folded: `apply` of the same network with BatchNorm folded into convolutions, in
      evaluation mode: the same logits up to rounding (`models.fold`).
    note: a sentence that stands beside results of this network.
  """

  init: Callable[[Array], tuple[Tree, Tree]]
  apply: Callable[[Tree, Tree, Array], Array]
  apply_train: Callable[[Tree, Tree, Array, Array | None], tuple[Array, Tree]]
  fold: Fold | None = None
  folded: Callable[[Tree, Tree, Array], Array] | None = None
  note: str = ''

  def logits_fn(self, params: Tree, stats: Tree) -> Callable[[Array], Array]:
    """images -> logits in evaluation mode: what every attack asks for.

    Where it pays, BatchNorm is folded once, here, and not at every call.
    """
    net, freeze = self.frozen()
    if freeze:
      params, stats = freeze(params, stats)
    return lambda images: net.apply(params, stats, images)

  def frozen(self) -> 'tuple[Net, Fold | None]':
    """The network as it is evaluated fastest, and what makes its variables from ours.

    None where they stay as they are.
    """
    if self.folded is None or not folding_pays():
      return self, None
    return self._replace(apply=self.folded, fold=None, folded=None), self.fold


def folding_pays() -> bool:
  """Whether evaluation is faster with BatchNorm folded into convolutions.

  On GPUs the shift joins the convolution's kernel, which saves passes over memory; on CPU
  nothing is saved. See docs/performance.md.
  """
  return jax.default_backend() != 'cpu'


def normalized(net: Net, mean: tuple[float, ...], std: tuple[float, ...]) -> Net:
  """Puts (images - mean) / std, per channel, in front of a network."""

  def inside(images: Array) -> Array:
    # From the decimal numbers, so that float64 is not limited by float32's.
    shift, scale = (jnp.asarray(c, images.dtype) for c in (mean, std))
    return (images - shift) / scale

  def apply(params: Tree, stats: Tree, images: Array) -> Array:
    return net.apply(params, stats, inside(images))

  def apply_train(params, stats, images, mask=None):
    return net.apply_train(params, stats, inside(images), mask)

  def folded(params: Tree, stats: Tree, images: Array) -> Array:
    assert net.folded is not None
    return net.folded(params, stats, inside(images))

  return net._replace(
    apply=apply, apply_train=apply_train, folded=folded if net.folded else None
  )


def one_note(found: Iterable[Any]) -> str:
  """The sentences among attributes called `note`, each once; others may mean another thing."""
  return '; '.join(dict.fromkeys(n for n in found if isinstance(n, str) and n))


def parameter_count(params: Tree) -> int:
  """How many numbers gradients move."""
  return sum(int(leaf.size) for leaf in jax.tree.leaves(params))
