"""A trained network out of a run's workdir."""

import json
import pathlib
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxrkd.errors import InputError
from jaxrkd.models import Net
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.train.setup import parts
from jaxrkd.train.state import NetState
from jaxrkd.train.step import STUDENT


class Trained(NamedTuple):
  """A network from a checkpoint.

  Attributes:
    net: its functions.
    state: its parameters, statistics and average.
    record: what was saved beside it: step, classes, image_shape, best score.
    config: of the run that trained it.
  """

  net: Net
  state: NetState
  record: dict[str, Any]
  config: ConfigDict


def read_config(workdir: pathlib.Path) -> ConfigDict:
  """The resolved config of a run.

  Raises:
    InputError: the folder is not a run.
  """
  path = workdir / 'config.json'
  if not path.is_file():
    raise InputError(
      f'{str(workdir)!r} is not the workdir of a run: it has no config.json; name the '
      'folder that --workdir named when it was trained'
    )
  return ConfigDict(json.loads(path.read_text()))


def load_trained(
  workdir: pathlib.Path, kind: str, mesh: jax.sharding.Mesh, precision: str = ''
) -> Trained:
  """Reads the newest sound checkpoint of a kind.

  Args:
    workdir: folder of a run.
    kind: 'best' or 'last'.
    mesh: devices to put it on, a copy on each.
    precision: compute type; empty takes the run's own.

  Raises:
    InputError: not a run, or it has no such checkpoint.
  """
  config = read_config(workdir)
  if precision:
    config.precision = precision
  folder = workdir / 'checkpoints' / kind
  checkpoints = Checkpoints(folder, writable=False) if folder.is_dir() else None
  if checkpoints is None or not checkpoints.steps():
    raise InputError(
      f'{str(workdir)!r} has no {kind} checkpoint; finish its training first by running '
      'the command that began it'
    )
  record, found = checkpoints.newest_record(), None
  if record is not None:
    # The length of an epoch moves no shape; a long one suits every schedule.
    made = parts(config, record['classes'], record['image_shape'], mesh, per_epoch=1000)
    found = checkpoints.restore(made.like)
  checkpoints.close()
  if found is None:
    raise InputError(
      f'no {kind} checkpoint in {str(workdir)!r} can be read; train it again in a new '
      'workdir'
    )
  state, record = found
  return Trained(made.net, state.nets[STUDENT], record, config)
