"""Teachers and students that the doctor looks at, read from runs, imports and files."""

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment.import_network import read_unwritten
from jaxrkd.experiment.load import IMPORTED, Trained, is_imported, load_trained
from jaxrkd.interop import RECIPES, public_file
from jaxrkd.models.named import named_network
from jaxrkd.programs.examination import Examined
from jaxrkd.runtime import sharding


def student_of(path: pathlib.Path, examined: Examined) -> Trained:
  """The student whose adversarial images are tried; its classes must be the teacher's."""
  found = load_trained(path, 'best', sharding.data_mesh(), 'float32')
  shape, classes = found.record.image_shape, found.record.classes
  if (shape, classes) != (tuple(examined.image_shape), examined.classes):
    raise InputError(
      f'the student in {str(path)!r} knows {classes} classes of images {list(shape)}, and '
      f'the teacher {examined.classes} of {list(examined.image_shape)}; name a student of '
      'the same data'
    )
  return found


def admit(
  path: pathlib.Path, recipe: str, overrides: list[str], shape: tuple[int, ...]
) -> Examined:
  """Reads a teacher.

  Args:
    path: workdir of a run or an import, a file of weights, or the name of a recipe, whose
      file is looked for (`interop.public_file`).
    recipe: which public teacher a file is; empty for a folder.
    overrides: 'key=value' texts for its config.
    shape: (H, W, C) of a file's images; empty for 32 x 32.

  Raises:
    InputError: there is no such teacher.
  """
  if not path.exists() and not recipe and path.as_posix() in RECIPES:
    recipe = path.as_posix()
    path = public_file(recipe)
  if not path.exists():
    raise InputError(
      f'{str(path)!r} does not exist; give the workdir of a run or an import, a file of '
      'weights, or the name of a public teacher (jaxrkd convert --list)'
    )
  if not path.is_dir():
    read, config = read_unwritten(path, overrides, recipe=recipe, image_shape=shape)
    kind = RECIPES[recipe].kind if recipe else 'robust'
    own = read.net, read.variables, config, read.node, read.classes, read.image_shape
    return Examined(*own, None, kind)
  if recipe:
    raise InputError(
      f'recipe {recipe!r} is for a file of weights, but {str(path)!r} is a folder; leave it '
      'out'
    )
  mesh = sharding.data_mesh()
  found = load_trained(path, 'best', mesh, 'float32')
  if found.networks is None:
    raise InputError(
      f'{str(path)!r} is an ensemble of {found.config.members} runs; examine one of them, '
      f'such as {str(path / "members" / "0")!r}'
    )
  given = ConfigDict(found.config.to_dict())
  config = experiment.resolve(given, overrides)
  node, shape = config.student.to_dict(), found.record.image_shape
  net = named_network(node, found.record.classes, shape)
  variables = (found.state.params, found.state.stats)
  facts = found.record.classes, shape
  return Examined(net, variables, config, node, *facts, path, _kind(path, config))


def _kind(path: pathlib.Path, config: ConfigDict) -> str:
  if is_imported(path):
    recipe = json.loads((path / IMPORTED).read_text(encoding='utf-8'))['recipe']
    return RECIPES[recipe].kind if recipe in RECIPES else 'robust'
  return 'clean' if config.method.name == 'natural' else 'robust'


def broken(variables: Any) -> str:
  """The name of a weight that is no number; empty if all are."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    if not bool(jnp.isfinite(leaf).all()):
      return '/'.join(str(getattr(part, 'key', '')) for part in path[1:])
  return ''
