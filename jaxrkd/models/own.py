"""Networks as people bring them, as a `Net`: Flax NNX, Flax Linen, plain functions."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.core import unfreeze

from jaxrkd.errors import InputError
from jaxrkd.models.batch_norm import counted_rows
from jaxrkd.models.net import Net, one_note

Array = jax.Array
Tree = Any
# How a module is told that it is trained: an argument of its call, and its value then.
CONVENTIONS = {
  'train': True,
  'training': True,
  'is_training': True,
  'deterministic': False,
  'inference': False,
  'use_running_average': False,
}


def as_net(network: Any, what: str = 'the network') -> Net:
  """The `Net` of whatever was given.

  Args:
    network: a `Net`; a Flax NNX module, whose `init` gives its own values; or a pair of
      functions, see `from_functions`.
    what: name for messages.

  Raises:
    InputError: something else.
  """
  if isinstance(network, Net):
    return network
  if isinstance(network, nnx.Module):
    return from_nnx(network)
  if isinstance(network, tuple) and len(network) == 2 and all(map(callable, network)):
    return from_functions(*network)
  kinds = (
    'a Flax NNX module, models.from_linen(module, image_shape), '
    'models.from_functions(init, apply), or a models.Net'
  )
  name = getattr(network, '__name__', type(network).__name__)
  if isinstance(network, linen.Module):
    raise InputError(
      f'{what} is the Linen module {name}, which does not know the shape of its images; '
      'give models.from_linen(module, (32, 32, 3))'
    )
  if callable(network):
    raise InputError(
      f'{what} is the function {name}, which has nothing that can be trained; give {kinds}; '
      'models.from_nnx(make) takes a function from nnx.Rngs to a module'
    )
  raise InputError(f'{what} is a {type(network).__name__}; give {kinds}')


def begins_as_it_is(network: Any) -> bool:
  """Whether training begins with a network's own values, whatever the key."""
  return isinstance(network, nnx.Module)


def from_functions(
  init: Callable[[Array], Tree], apply: Callable[[Tree, Array], Array]
) -> Net:
  """Wraps two pure functions; a network that keeps statistics is a `Net` of its own.

  Args:
    init: key -> params.
    apply: (params, images [B, H, W, C]) -> logits [B, classes], in both modes.
  """

  def apply_train(params, stats, images, mask=None):
    del mask  # every image is treated alone
    return apply(params, images), stats

  return Net(
    lambda key: (init(key), {}), lambda params, stats, x: apply(params, x), apply_train
  )


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module] | nnx.Module) -> Net:
  """Wraps a Flax NNX module that maps images [B, H, W, C] to logits [B, classes].

  Training and evaluation mode are set with `Module.train()` and `Module.eval()`, and with
  the arguments of its call that `from_linen` knows.
  `nnx.Param` variables become `params`, all others (statistics, dropout counters)
  `stats`. A padded batch is masked in jaxrkd's own BatchNorm; `nnx.BatchNorm` counts
  the padding (set `config.drop_last` to avoid it).

  Args:
    make: builds the module, e.g. `lambda rngs: MyNet(10, rngs=rngs)`; or a module, whose
      values are those that training begins with, whatever the key. An attribute `note` of it
      or of its parts, a sentence, stands beside the results of the network.
  """
  given = make if isinstance(make, nnx.Module) else None

  def split(module: nnx.Module) -> tuple[Any, nnx.State, nnx.State]:
    return cast(Any, nnx.split(module, nnx.Param, ...))

  if given is not None:
    # A copy: what happens to the module later changes nothing here.
    found = split(given)
    graph, (params, stats) = found[0], jax.tree.map(lambda leaf: leaf.copy(), found[1:])
    param_template, stat_template = params, stats
  else:
    build = cast(Callable[[nnx.Rngs], nnx.Module], make)
    shapes = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graph, param_template, stat_template = split(shapes)
  parts = nnx.iter_modules(shapes if given is None else given)
  note = one_note([getattr(part, 'note', '') for _, part in parts])

  def init(key: Array) -> tuple[Tree, Tree]:
    if given is not None:
      return _to_dict(param_template), _to_dict(stat_template)
    _, params, stats = split(build(nnx.Rngs(key)))
    return _to_dict(params), _to_dict(stats)

  def module(params: Tree, stats: Tree) -> nnx.Module:
    return nnx.merge(
      graph, _from_dict(param_template, params), _from_dict(stat_template, stats)
    )

  def apply(params: Tree, stats: Tree, images: Array) -> Array:
    net = module(params, stats)
    net.eval()
    return net(images, **mode(net, False))

  def apply_train(params, stats, images, mask=None):
    net = module(params, stats)
    net.train()
    with counted_rows(mask):
      logits = net(images, **mode(net, True))
    nnx.pop(net, nnx.Intermediate)  # what it sowed
    return logits, _to_dict(split(net)[2])

  return Net(init, apply, apply_train, note=note)


def update_nnx(module: nnx.Module, params: Tree, stats: Tree) -> None:
  """Puts trained values back into the NNX module that they came from.

  Args:
    module: what `from_nnx` was given, or a module built in the same way.
    params: of `Net.init`, moved or not.
    stats: of `Net.init`, moved or not.
  """
  _, old_params, old_stats = cast(Any, nnx.split(module, nnx.Param, ...))
  nnx.update(module, _from_dict(old_params, params), _from_dict(old_stats, stats))


def mode(module: Any, train: bool) -> dict[str, bool]:
  """The arguments of a module's call that say in which mode it is."""
  known = inspect.signature(type(module).__call__).parameters
  return {name: CONVENTIONS[name] is train for name in CONVENTIONS if name in known}


def from_linen(
  module: Any,
  image_shape: tuple[int, int, int],
  variables: Mapping[str, Tree] | None = None,
) -> Net:
  """Wraps a Flax Linen module.

  Its collections beside `params`, such as `batch_stats`, and a key for dropout become
  `stats`. Its call says with `train`, `training`, `is_training`, `deterministic`,
  `inference` or `use_running_average` in which mode it is; a module without BatchNorm and
  dropout may have none of these. Flax's BatchNorm counts padded rows of a batch. Its
  attribute `note`, a sentence, stands beside the results of the network.

  Args:
    module: a `flax.linen.Module`.
    image_shape: (H, W, C) of the images it takes.
    variables: what training begins with, {'params': ..., 'batch_stats': ...}; None draws
      them.

  Raises:
    InputError: variables without 'params', or a module with statistics and no way to say
      that it is trained.
  """

  def collections(params: Tree, stats: Tree) -> dict[str, Tree]:
    return {'params': params, **stats['collections']}

  def draw(key: Array) -> dict[str, Tree]:
    key, dropout = jax.random.split(key)
    images = jnp.zeros((1, *image_shape))
    return dict(
      module.init({'params': key, 'dropout': dropout}, images, **mode(module, False))
    )

  given = None if variables is None else dict(unfreeze(dict(variables)))
  if given is not None and 'params' not in given:
    raise InputError(
      f'variables have {", ".join(map(repr, given)) or "nothing"}; give what module.init '
      "returned, {'params': ..., 'batch_stats': ...}"
    )
  there = given or jax.eval_shape(draw, jax.random.key(0))
  if not mode(module, True) and len(there) > 1:
    raise InputError(
      f'{type(module).__name__}.__call__ has none of the arguments '
      f'{", ".join(CONVENTIONS)}; add one that switches BatchNorm and dropout between '
      'training and evaluation'
    )

  def init(key: Array) -> tuple[Tree, Tree]:
    filled = dict(given) if given is not None else draw(key)
    params = filled.pop('params')
    return params, {'collections': filled, 'dropout': jax.random.split(key)[1]}

  def apply(params: Tree, stats: Tree, images: Array) -> Array:
    return module.apply(collections(params, stats), images, **mode(module, False))

  def apply_train(params, stats, images, mask=None):
    key, dropout = jax.random.split(stats['dropout'])
    with counted_rows(mask):
      logits, moved = module.apply(
        collections(params, stats),
        images,
        **mode(module, True),
        mutable=list(stats['collections']),
        rngs={'dropout': dropout},
      )
    return logits, {'collections': dict(moved), 'dropout': key}

  return Net(init, apply, apply_train, note=one_note([getattr(module, 'note', '')]))


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
