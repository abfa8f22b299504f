"""Networks by name and options, as configs, cards and recipes have them."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from jaxrkd.models import BATCH_NORMS, NETWORKS, from_nnx, normalized
from jaxrkd.models.fold import folded
from jaxrkd.models.layers import Layers
from jaxrkd.models.net import Fold, Net
from jaxrkd.models.normalisation import Constants, constants
from jaxrkd.rows import build, completed

PRECISIONS = {'float32': None, 'bfloat16': jnp.bfloat16}
# What every network takes beside its own options.
NETWORK_KEYS: dict[str, Any] = {
  'bn_variance': 'unbiased',
  'bn_momentum': 0.9,
  'normalisation': 'none',
  'mean': (),
  'std': (),
}


def network_keys(node: Mapping[str, Any]) -> dict[str, Any]:
  """`NETWORK_KEYS` with the defaults of the network that this one names."""
  return {**NETWORK_KEYS, **BATCH_NORMS.get(node.get('name', ''), {})}


def network_options(node: Mapping[str, Any]) -> dict[str, Any]:
  """A network's `name` and options, with every option filled in.

  Raises:
    InputError: an unknown network, or an option that it does not have.
  """
  return completed(node, NETWORKS, network_keys(node), 'student')


def named_network(
  node: Mapping[str, Any],
  classes: int,
  image_shape: tuple[int, ...],
  precision: str = 'float32',
  remat: bool = False,
) -> Net:
  """Builds a network.

  The same request gives the same object, so that what was compiled for it is found again.

  Args:
    node: `name`, a row of `NETWORKS`, and its options; see `network_options`.
    classes: number of logits.
    image_shape: (H, W, C).
    precision: what it computes in, a row of `PRECISIONS`.
    remat: whether to compute what a gradient needs again instead of keeping it.

  Raises:
    InputError: an unknown name, or options that do not go together.
  """
  return _network(_request(node), classes, tuple(image_shape), precision, remat)


def folded_network(
  node: Mapping[str, Any], classes: int, image_shape: tuple[int, ...]
) -> tuple[Net, Fold]:
  """The same network with BatchNorm folded into convolutions; see `models.fold`."""
  make, (mean, std) = _maker(node, classes, tuple(image_shape), 'float32', False)
  net, fold = folded(make)
  return (normalized(net, mean, std) if mean else net), fold


def _request(node: Mapping[str, Any]) -> str:
  return json.dumps(dict(node.items()), sort_keys=True)


@functools.lru_cache(maxsize=64)
def _network(
  request: str, classes: int, image_shape: tuple[int, ...], precision: str, remat: bool
) -> Net:
  node = json.loads(request)
  make, (mean, std) = _maker(node, classes, image_shape, precision, remat)
  still, fold = folded(make)
  net = from_nnx(make)._replace(fold=fold, folded=still.apply)
  return normalized(net, mean, std) if mean else net


def _maker(
  node: Mapping[str, Any],
  classes: int,
  image_shape: tuple[int, ...],
  precision: str,
  remat: bool,
) -> tuple[Callable[[Any], Any], Constants]:
  """What builds the module of a network, and its normalisation."""
  # Nodes of older runs lack newer keys.
  chosen = {**network_keys(node), **dict(node.items())}
  name = chosen.pop('name')
  common = {key: chosen.pop(key) for key in NETWORK_KEYS}
  channels = image_shape[-1]
  normalisation = constants(
    common['normalisation'],
    tuple(common['mean']),
    tuple(common['std']),
    channels,
  )

  def make(rngs):
    layers = Layers(
      rngs,
      dtype=PRECISIONS[precision],
      bn_variance=common['bn_variance'],
      bn_momentum=common['bn_momentum'],
      remat=remat,
    )
    given = [layers, classes, channels]
    return build(NETWORKS, name, 'network', nnx.Module, given, chosen)

  return make, normalisation
