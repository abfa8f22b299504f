"""`Net`: a network as pure functions over two pytrees, whatever library wrote it."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrkd.errors import InputError
from jaxrkd.models.batch_norm import counted_rows

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
  """

  init: Callable[[Array], tuple[Tree, Tree]]
  apply: Callable[[Tree, Tree, Array], Array]
  apply_train: Callable[[Tree, Tree, Array, Array | None], tuple[Array, Tree]]
  fold: Fold | None = None
  folded: Callable[[Tree, Tree, Array], Array] | None = None

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


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> Net:
  """Wraps a Flax NNX module that maps images [B, H, W, C] to logits [B, classes].

  Training and evaluation mode are set with `Module.train()` and `Module.eval()`.
  `nnx.Param` variables become `params`, all others (statistics, dropout counters)
  `stats`. A padded batch is masked in jaxrkd's own BatchNorm; `nnx.BatchNorm` counts
  the padding (set `config.drop_last` to avoid it).

  Args:
    make: builds the module, e.g. `lambda rngs: MyNet(10, rngs=rngs)`.
  """

  def split(module: nnx.Module) -> tuple[Any, nnx.State, nnx.State]:
    return cast(Any, nnx.split(module, nnx.Param, ...))

  graph, param_template, stat_template = split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

  def init(key: Array) -> tuple[Tree, Tree]:
    _, params, stats = split(make(nnx.Rngs(key)))
    return _to_dict(params), _to_dict(stats)

  def module(params: Tree, stats: Tree) -> nnx.Module:
    return nnx.merge(
      graph, _from_dict(param_template, params), _from_dict(stat_template, stats)
    )

  def apply(params: Tree, stats: Tree, images: Array) -> Array:
    net = module(params, stats)
    net.eval()
    return net(images)

  def apply_train(params, stats, images, mask=None):
    net = module(params, stats)
    net.train()
    with counted_rows(mask):
      logits = net(images)
    return logits, _to_dict(split(net)[2])

  return Net(init, apply, apply_train)


def from_linen(module: Any, image_shape: tuple[int, int, int]) -> Net:
  """Wraps a Flax Linen module called as `module(images, train=...)`.

  Its `batch_stats` collection and a key for dropout become `stats`.

  Args:
    module: a `flax.linen.Module`.
    image_shape: (H, W, C) of the images it takes.

  Raises:
    InputError: the module's call has no argument `train`.
  """
  if 'train' not in inspect.signature(type(module).__call__).parameters:
    raise InputError(
      f'{type(module).__name__}.__call__ has no argument `train`; add one that switches '
      'BatchNorm and dropout between training and evaluation'
    )

  def variables(params, stats):
    return {'params': params, **stats['collections']}

  def init(key: Array) -> tuple[Tree, Tree]:
    key, dropout = jax.random.split(key)
    images = jnp.zeros((1, *image_shape))
    filled = dict(module.init({'params': key, 'dropout': dropout}, images, train=False))
    params = filled.pop('params')
    return params, {'collections': filled, 'dropout': dropout}

  def apply(params: Tree, stats: Tree, images: Array) -> Array:
    return module.apply(variables(params, stats), images, train=False)

  def apply_train(params, stats, images, mask=None):
    key, dropout = jax.random.split(stats['dropout'])
    with counted_rows(mask):
      logits, moved = module.apply(
        variables(params, stats),
        images,
        train=True,
        mutable=list(stats['collections']),
        rngs={'dropout': dropout},
      )
    return logits, {'collections': dict(moved), 'dropout': key}

  return Net(init, apply, apply_train)


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


def parameter_count(params: Tree) -> int:
  """How many numbers gradients move."""
  return sum(int(leaf.size) for leaf in jax.tree.leaves(params))


def _to_dict(state: nnx.State) -> dict[str, Any]:
  """An NNX state as nested plain dictionaries with the module's attribute names."""
  tree: dict[str, Any] = {}
  for path, variable in nnx.to_flat_state(state):
    node = tree
    for name in path[:-1]:
      node = node.setdefault(str(name), {})
    node[str(path[-1])] = variable.get_value()
  return tree


def _from_dict(template: nnx.State, tree: Tree) -> nnx.State:
  def lookup(path) -> Any:
    node = tree
    for name in path:
      node = node[str(name)]
    return node

  return nnx.from_flat_state(
    [
      (path, variable.replace(lookup(path)))
      for path, variable in nnx.to_flat_state(template)
    ]
  )
