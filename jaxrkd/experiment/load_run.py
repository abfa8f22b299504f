"""A trained network as one function, out of a run or a file of weights."""

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.experiment.load import load_trained
from jaxrkd.interop import read_network
from jaxrkd.models import Net
from jaxrkd.paths import expanded
from jaxrkd.runtime import sharding

Tree = Any


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LoadedNetwork:
  """images [B, H, W, C] in [0, 1] or uint8 -> logits [B, classes], in evaluation mode.

  Attributes:
    net: its functions.
    variables: (params, stats).
    classes: number of logits.
    image_shape: (H, W, C) of what it was trained on.
    about: where it comes from: of a run what its checkpoint says, of a file what was read.
  """

  net: Net
  variables: tuple[Tree, Tree]
  classes: int
  image_shape: tuple[int, ...]
  about: dict[str, Any]

  def __repr__(self) -> str:
    return f'LoadedNetwork({self.classes} classes of images {self.image_shape})'

  def __call__(self, images: jax.Array) -> jax.Array:
    # What was trained on images / 255 says nothing sensible of 8-bit numbers.
    if images.dtype == np.uint8:
      images = images.astype(np.float32) / 255
    return self.net.logits_fn(*self.variables)(images)


def load_run(
  path: str | pathlib.Path,
  *,
  checkpoint: str = 'best',
  network: str = '',
  recipe: str = '',
  precision: str = 'float32',
) -> LoadedNetwork:
  """Reads the network of a run, or of a file of weights.

  Args:
    path: workdir of a run, or a file; see `interop.read_network`.
    checkpoint: of a run: 'best', 'last', or 'ema' for the averaged parameters.
    network: of a run that trained several; empty takes its student.
    recipe: of a file: which public teacher it is (`interop.RECIPES`).
    precision: what it computes in: 'float32', or 'bfloat16'.

  Raises:
    InputError: not a run, no such checkpoint or network, or a file that is none of weights.
  """
  path = expanded(path)
  if path.is_dir():
    if recipe:
      raise InputError(
        f'recipe {recipe!r} is for a file of weights, but {str(path)!r} is a folder; leave '
        'it out'
      )
    mesh = sharding.data_mesh()
    found = load_trained(path, checkpoint, mesh, precision, network=network)
    variables, record = (found.state.params, found.state.stats), found.record
    about = record.to_json(record.step)
    return LoadedNetwork(found.net, variables, record.classes, record.image_shape, about)
  if network or checkpoint != 'best':
    raise InputError(
      f'{str(path)!r} is not a folder, and a file of weights has neither checkpoints nor '
      'several networks; leave checkpoint and network out, or give the workdir of a run'
    )
  read = read_network(path, recipe=recipe, precision=precision)
  variables = jax.tree.map(np.asarray, read.variables)
  return LoadedNetwork(read.net, variables, read.classes, read.image_shape, read.about)
