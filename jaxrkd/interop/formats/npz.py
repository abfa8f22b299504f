"""Named arrays with numpy's own format; read back by `load_exported`."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop.formats.base import Format, Predict, Student
from jaxrkd.interop.own_npz import CARD, read_own
from jaxrkd.models import Net
from jaxrkd.models.named import named_network
from jaxrkd.paths import expanded
from jaxrkd.runtime import files

Tree = Any


def write(path: pathlib.Path, student: Student, card: Mapping[str, Any]) -> None:
  """Arrays named 'params/conv1/kernel', 'stats/bn1/mean'; 'network' is the card in JSON."""
  params, stats = student.variables
  arrays = {**_flat('params', params), **_flat('stats', stats)}
  files.write_npz(path, {**arrays, CARD: np.array(json.dumps(dict(card)))})


def load_exported(
  path: str | pathlib.Path, precision: str = 'float32'
) -> tuple[Net, tuple[Tree, Tree], dict[str, Any]]:
  """Reads what `write` wrote: the network, its (params, stats), and its card.

  Raises:
    InputError: no such file, or not one of these.
  """
  path = expanded(path)
  if not path.is_file():
    raise InputError(f'there is no file {str(path)!r}; name one that was exported')
  params, stats, card = jax.tree.map(
    lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf,
    read_own(path),
  )
  shape = tuple(card['image_shape'])
  net = named_network(card['network'], card['classes'], shape, precision)
  return net, (params, stats), card


def _load(path: pathlib.Path) -> Predict:
  net, variables, _ = load_exported(path)
  apply = jax.jit(net.apply)
  return lambda images: np.asarray(apply(*variables, images))


def _flat(root: str, tree: Mapping[str, Any]) -> dict[str, np.ndarray]:
  found = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = '/'.join([root, *(str(part.key) for part in path)])
    found[name] = np.asarray(leaf)
  return found


FORMAT = Format(write, _load, 'jax', 'images [B, H, W, C] in [0, 1]')
