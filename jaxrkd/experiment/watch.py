"""What is recorded of every image after every epoch, as `config.trajectories` says."""

import pathlib
from collections.abc import Mapping

import jax
from ml_collections import ConfigDict

from jaxrkd.data.lazy import LazyImages
from jaxrkd.errors import InputError
from jaxrkd.evaluate.trajectories import Recorder
from jaxrkd.experiment import make
from jaxrkd.train.networks import STUDENT
from jaxrkd.train.selection import Watcher
from jaxrkd.train.setup import Setup
from jaxrkd.train.state import NetState

FOLDER = 'trajectories'


def recording_path(workdir: pathlib.Path, split: str, network: str = '') -> pathlib.Path:
  """Where a run has the recording of a split; `network` is one of several."""
  return workdir / FOLDER / (f'{network}-{split}.npy' if network else f'{split}.npy')


def make_watcher(
  config: ConfigDict, setup: Setup, workdir: pathlib.Path
) -> Watcher | None:
  """Records the student, or each of several, on every split that the config names.

  Raises:
    InputError: a split is too large for memory, or the workdir has another recording.
  """
  chosen = config.trajectories.splits
  if not chosen:
    return None
  networks = setup.learner.networks
  several = networks.student is None
  names = networks.names if several else (STUDENT,)
  search, recorders = make.trajectory_search(config), {}
  for name in names:
    for split in chosen:
      images = getattr(setup.data, split)
      if isinstance(images.image, LazyImages):
        raise InputError(
          f'config.trajectories.splits has {split}, whose images stay on disk; record a '
          'split that fits into memory'
        )
      path = recording_path(workdir, split, name if several else '')
      recorders[name, split] = Recorder(
        networks.nets[name],
        images,
        search,
        path,
        config.epochs,
        setup.mesh,
        config.evaluation.batch_size,
        jax.random.key(config.seed),
        {
          'attack': config.trajectories.attack.to_dict(),
          'threat': config.evaluation.threat.to_dict(),
          'seed': config.seed,
          'split': split,
        },
      )

  def watch(epoch: int, nets: Mapping[str, NetState]) -> None:
    for (name, _), recorder in recorders.items():
      recorder(epoch, (nets[name].params, nets[name].stats))

  return watch
