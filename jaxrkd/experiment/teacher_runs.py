"""Where the teachers of a run come from, and whether they suit it."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxrkd.data import Dataset
from jaxrkd.errors import InputError
from jaxrkd.experiment.import_network import import_network
from jaxrkd.experiment.load import (
  TRAINED,
  Trained,
  is_imported,
  read_config,
  seed_folder,
  teacher_folder,
)
from jaxrkd.interop import read_network
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say


def check_sources(config: ConfigDict, workdir: pathlib.Path) -> dict[str, int]:
  """Refuses teachers that cannot come from where the config says, before data are read.

  Returns:
    How many classes the networks in files know, by teacher.

  Raises:
    InputError: no such run, one that is not finished, or a file that does not hold the
      network; names the flag to change.
  """
  classes = {}
  for name, entry in config.teachers.items():
    place = teacher_folder(config, workdir, name)
    if entry.workdir:
      check_finished(name, place)
    elif entry.file and not (
      is_imported(place) and not pathlib.Path(entry.file).exists()
    ):
      try:
        read = read_network(entry.file, check=False, **_network_of(entry))
      except InputError as error:
        raise InputError(
          f'teacher {name!r}: {error} (--config.teachers.{name}.file, '
          f'--config.teachers.{name}.recipe, or the network in its config)'
        ) from error
      classes[name] = read.classes
    elif not entry.file:
      # Its own teachers, before it is reached after hours.
      check_sources(entry.config, place)
  return classes


def check_finished(name: str, place: pathlib.Path) -> None:
  """Raises `InputError` unless a run has been trained to its end, or imported."""
  done = any((place / name).is_file() for name in ('results.json', TRAINED))
  if not sharding.agreed(done or is_imported(place)):
    read_config(place)
    raise InputError(
      f'teacher {name!r} comes from {str(place)!r}, whose training is not finished; '
      'finish it first by running the command that began it'
    )
  seeds = read_config(place).get('seeds', ())
  if seeds:
    first = str(seed_folder(place, seeds[0]))
    raise InputError(
      f'teacher {name!r} comes from {str(place)!r}, which holds the runs of '
      f'{len(seeds)} seeds; name one of them, such as {first!r}'
    )


def _network_of(entry: ConfigDict) -> dict[str, Any]:
  if entry.recipe:
    # It knows its network; a config beside it would have trained what the file replaces.
    return {'recipe': entry.recipe}
  return {'network': entry.config.student.to_dict() if entry.config else {}}


def teacher_options(entry: ConfigDict, data: Dataset) -> dict[str, Any]:
  """What is known of the file that a teacher comes from; see `interop.read_network`."""
  return {'image_shape': tuple(data.image_shape), **_network_of(entry)}


def import_teacher(
  entry: ConfigDict, place: pathlib.Path, config: ConfigDict, name: str, data: Dataset
) -> None:
  """Converts the file of a teacher into a run of its own."""
  options = teacher_options(entry, data)
  if is_imported(place) and not pathlib.Path(entry.file).exists():
    say(f'teacher {name}: {entry.file} does not exist; using its import in {place}')
    return
  found = import_network(entry.file, place, data=config.data.to_dict(), **options)
  check = found['logit_check']
  told = check.get('skipped') or f'differ by {check["largest_difference"]:.2g}'
  say(
    f'teacher {name}: {found["network"]["name"]} from {entry.file}; logits against PyTorch: '
    f'{told}'
  )


def check_teacher(name: str, teacher: Trained, data: Dataset) -> None:
  """Raises `InputError` for a teacher of other classes or images than the data's."""
  record = teacher.record
  check_classes(name, record.classes, record.image_shape, data)
  broken = [
    path
    for path, leaf in jax.tree_util.tree_leaves_with_path(
      (teacher.state.params, teacher.state.stats)
    )
    if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.isfinite(leaf).all())
  ]
  if broken:
    raise InputError(
      f'teacher {name!r} has weights that are not finite numbers '
      f'({jax.tree_util.keystr(broken[0])}); its training diverged or its file is '
      'damaged, so train it again or name another'
    )


def check_classes(
  name: str, classes: int, image_shape: Sequence[int], data: Dataset
) -> None:
  """Raises `InputError` unless a teacher's classes and images are the data's."""
  shape = list(image_shape)
  if classes != data.classes or shape != list(data.image_shape):
    raise InputError(
      f'teacher {name!r} knows {classes} classes of images {shape}, but {data.name} has '
      f'{data.classes} classes of images {list(data.image_shape)}; choose a teacher trained '
      f'on {data.name}'
    )
