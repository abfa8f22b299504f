"""One trained network as one file of named arrays, and back."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd.errors import InputError
from jaxrkd.models import Net
from jaxrkd.runtime import files, sharding
from jaxrkd.train.load import chosen, load_trained

Tree = Any


def export(
  run: str | pathlib.Path,
  path: str | pathlib.Path,
  *,
  network: str = '',
  checkpoint: str = 'best',
) -> str:
  """Writes one network of a run to an .npz file.

  The arrays are named 'params/conv1/kernel', 'stats/bn1/mean' and so on; 'network' is JSON
  with its architecture, classes, image_shape and where it comes from.

  Args:
    run: workdir of a finished run.
    path: of the file, ending in .npz.
    network: one of several that the run trained together; empty takes its student.
    checkpoint: 'best', 'last' or 'ema'.

  Returns:
    The name of the network in its run.

  Raises:
    InputError: not a run, no such network or checkpoint, an ensemble of runs, or another
      ending of the file's name.
  """
  run, path = pathlib.Path(run), pathlib.Path(path)
  if path.suffix != '.npz':
    raise InputError(f'{str(path)!r} does not end in .npz; name such a file')
  found = load_trained(run, checkpoint, sharding.data_mesh(), network=network)
  if found.crew is None:
    raise InputError(
      f'{str(run)!r} is an ensemble of {found.config.members} runs; export one of them, '
      f'such as {str(run / "members" / "0")!r}'
    )
  name = network or chosen(found.crew, found.record)
  nodes = build.network_nodes(found.config, build.method(found.config))
  about = {
    'network': nodes[name].to_dict(),
    'classes': found.record['classes'],
    'image_shape': found.record['image_shape'],
    'run': str(run),
    'name': name,
    'checkpoint': checkpoint,
    'step': found.record['step'],
  }
  arrays = {
    **_flat('params', found.state.params),
    **_flat('stats', found.state.stats),
  }
  path.parent.mkdir(parents=True, exist_ok=True)
  files.write_npz(path, {**arrays, 'network': np.array(json.dumps(about))})
  return name


def load_exported(
  path: str | pathlib.Path, precision: str = 'float32'
) -> tuple[Net, tuple[Tree, Tree], dict[str, Any]]:
  """Reads what `export` wrote: the network, its (params, stats), and what is known of it.

  Raises:
    InputError: no such file, or not one of these.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise InputError(f'there is no file {str(path)!r}; name one that was exported')
  with path.open('rb') as file, np.load(file, allow_pickle=False) as archive:
    if 'network' not in archive.files:
      raise InputError(f'{str(path)!r} has no array `network`; it was not exported here')
    about = json.loads(str(archive['network']))
    trees: dict[str, Any] = {'params': {}, 'stats': {}}
    for name in archive.files:
      if name == 'network':
        continue
      *groups, last = name.split('/')
      node = trees
      for group in groups:
        node = node.setdefault(group, {})
      node[last] = jnp.asarray(archive[name])
  shape = tuple(about['image_shape'])
  net = build.network(ConfigDict(about['network']), about['classes'], shape, precision)
  return net, (trees['params'], trees['stats']), about


def _flat(root: str, tree: Mapping[str, Any]) -> dict[str, np.ndarray]:
  found = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    name = '/'.join([root, *(str(part.key) for part in path)])
    found[name] = np.asarray(leaf)
  return found
