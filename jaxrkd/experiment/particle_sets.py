"""Sets of adversarial images of a run's test images, by PGD and SVGD (AT-AKA, Table 1)."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import attacks, experiment
from jaxrkd.attacks.step_size import TRADES, step_length
from jaxrkd.data import Split
from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate import particle_statistics, robustness
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment.load import load_trained, read_config
from jaxrkd.runtime import files, sharding

STEPS = 20
BATCH = 100
SEARCHES = {
  'PGD': 'pgd',
  'SVGD': 'svgd',
  'SVGD, sigma 1e-3': 'svgd_paper',
}


def step(threat: attacks.Threat) -> float:
  """0.003 at eps 8/255, as printed, and in proportion."""
  return step_length(None, threat.eps, TRADES)


def search(name: str, threat: attacks.Threat) -> attacks.Search:
  """20 steps of one of `SEARCHES`.

  Raises:
    InputError: an unknown name.
  """
  chosen = attacks.SEARCHES[SEARCHES[one_of(name, tuple(SEARCHES), 'particles')]]
  return chosen(threat, steps=STEPS, step_size=step(threat))


def first_images(config: ConfigDict, images: int, data_dir: str = '') -> Split:
  """The first so many test images of a run.

  Raises:
    InputError: it has fewer.
  """
  split = experiment.dataset(config, data_dir).test
  if len(split) < images:
    raise InputError(
      f'images is {images}, but {config.data.name} has {len(split)} test images; ask for '
      'fewer'
    )
  return split.take(np.arange(images))


def loaded(split: Split, mesh: jax.sharding.Mesh) -> robustness.Loaded:
  """Images on the devices, some at a time."""
  devices = mesh.devices.size
  batch = -(-min(len(split), BATCH) // devices) * devices
  return robustness.load_split(split, batch, mesh)


def measure(
  run: pathlib.Path,
  version: str,
  name: str,
  images: int,
  count: int,
  threat: Mapping[str, Any],
  data_dir: str = '',
) -> dict[str, np.ndarray]:
  """What the particles of each of a run's first test images are like; kept beside the run.

  Args:
    run: its workdir.
    version: 'best', 'last' or 'ema'.
    name: one of `SEARCHES`.
    images: of the test split, at most.
    count: particles per image.
    threat: the group `evaluation.threat`: the ball.
    data_dir: where TFDS data lie.

  Returns:
    [N] of each of `particle_statistics.UNITS`, and 'index', the place of each image.
  """
  given = read_config(run)
  given.evaluation.threat = ConfigDict(dict(threat))
  config = experiment.resolve(given, past=True)
  ball = experiment.evaluation_threat(config)
  told = [version, name, images, count, dict(threat), STEPS, step(ball)]
  mark = fingerprint([*told, config.data.to_dict()])
  path = run / f'particles-{mark[:8]}.npz'
  if sharding.seen_by_all(path.is_file()):
    with np.load(path, allow_pickle=False) as kept:
      return dict(kept)
  mesh = sharding.data_mesh()
  trained = load_trained(run, version, mesh, config.precision)
  split = experiment.dataset(config, data_dir).test
  split = split.take(np.arange(min(images, len(split))))
  found = particle_statistics.of_each_image(
    particle_statistics.one_network(trained.net),
    (trained.state.params, trained.state.stats),
    count,
    loaded(split, mesh),
    mesh,
    search(name, ball),
    jax.random.key(config.seed),
  )
  found['index'] = split.index
  if sharding.is_first_process():
    files.write_npz(path, found)
  return found
