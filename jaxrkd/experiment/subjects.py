"""Trained networks as what is measured, and as what adversarial images are made on."""

import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxrkd.data import Dataset
from jaxrkd.errors import InputError
from jaxrkd.evaluate.fingerprint import fingerprint, weights_digest
from jaxrkd.evaluate.task import Subject
from jaxrkd.experiment.load import Trained, load_teacher, load_trained
from jaxrkd.experiment.measurement import Surrogate
from jaxrkd.paths import expanded


def load_surrogates(
  config: ConfigDict, workdir: pathlib.Path, data: Dataset, mesh: jax.sharding.Mesh
) -> dict[str, Surrogate]:
  """The networks on which columns make their images, by the name that they have there.

  Raises:
    InputError: not a run, or a network of other images or classes.
  """
  found = {}
  columns = config.evaluation.attacks.values()
  # In one order on all processes.
  for name in sorted({node.surrogate for node in columns} - {''}):
    if name in config.teachers:
      trained = load_teacher(config, workdir, name, mesh)
    else:
      trained = _of_a_run(name, mesh)
    shape, classes = trained.record.image_shape, trained.record.classes
    if shape != tuple(data.image_shape) or classes != data.classes:
      raise InputError(
        f'the surrogate {name!r} knows {classes} classes of images {list(shape)}, but '
        f'{data.name} has {data.classes} classes of images {list(data.image_shape)}; '
        f'choose a network trained on {data.name}'
      )
    found[name] = Surrogate(subject_of(trained), identity_of(trained))
  return found


def _of_a_run(name: str, mesh: jax.sharding.Mesh) -> Trained:
  """The network of 'RUN', its best checkpoint, or of 'RUN@last'."""
  place, at, kind = name.rpartition('@')
  if not at or kind not in ('best', 'last', 'ema', 'swa'):
    place, kind = name, 'best'
  return load_trained(expanded(place), kind, mesh, 'float32')


def subject_of(trained: Trained) -> Subject:
  """Its functions and weights."""
  return Subject(trained.net, (trained.state.params, trained.state.stats))


def identity_of(trained: Trained) -> dict[str, Any]:
  """What tells a network from others in the marks of results."""
  own = trained.config.to_dict()
  for key in ('evaluation', 'precision'):
    own.pop(key)
  return {
    'run': fingerprint(own),
    'weights': weights_digest((trained.state.params, trained.state.stats)),
    'step': trained.step,
  }
