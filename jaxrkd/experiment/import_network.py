"""A file of weights made into a run: a folder that everything here can read."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxrkd.data import SOURCES
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.load import IMPORTED, is_imported
from jaxrkd.experiment.resolve import resolve
from jaxrkd.interop.read_network import ReadNetwork, read_network
from jaxrkd.models.named import network_options
from jaxrkd.paths import expanded
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.runtime.progress import say
from jaxrkd.train.record import RunRecord
from jaxrkd.train.state import NetState

# What is taken where neither a recipe nor the user says which data a network knows.
DATA_OF = {(10, (32, 32, 3)): 'cifar10', (100, (32, 32, 3)): 'cifar100'}


def import_network(
  path: str | pathlib.Path,
  workdir: str | pathlib.Path,
  *,
  overrides: Sequence[str] = (),
  data: Mapping[str, Any] | None = None,
  **options: Any,
) -> dict[str, Any]:
  """Converts a file of weights to a run with one checkpoint.

  It can teach (`--config.teachers.NAME.workdir`), be measured (`jaxrkd evaluate`), be
  examined (`jaxrkd doctor`) and be exported. The same file again is not converted twice.

  Args:
    path: see `weights_file.read_weights`.
    workdir: of the new run.
    overrides: 'key=value' texts for its config; those of `student` choose the network.
    data: the group of a config that says what it is measured on; by default the recipe's,
      or CIFAR by the number of classes.
    **options: of `read_network`.

  Returns:
    What imported.json holds: file, sha256, names without use, the logit check.

  Raises:
    InputError: see `read_network`; or the workdir holds something else.
  """
  workdir = expanded(workdir)
  found, config = read_unwritten(path, overrides, data=data, **options)
  done = _imported_before(workdir, found)
  if sharding.agreed(done is not None) and done is not None:
    say(f'{path} was imported into {workdir} before')
    return done
  store = Checkpoints(workdir / 'checkpoints' / 'best')
  # What an import that was cut off has left.
  store.set_aside_after(-1)
  everywhere = sharding.replicated(sharding.data_mesh())
  # From the host, so that all processes of a job may hold it.
  params, stats = sharding.put(jax.tree.map(np.asarray, found.variables), everywhere)
  record = RunRecord(found.classes, tuple(found.image_shape))
  store.save(0, NetState(params, stats, {}, {}), record.to_json(0))
  store.close()
  if sharding.is_first_process():
    files.write_json(workdir / IMPORTED, found.about)
    # Last: what has it is whole.
    files.write_json(workdir / 'config.json', json.loads(config.to_json()))
  return found.about


def read_unwritten(
  path: str | pathlib.Path,
  overrides: Sequence[str] = (),
  *,
  data: Mapping[str, Any] | None = None,
  **options: Any,
) -> tuple[ReadNetwork, ConfigDict]:
  """A network out of a file, and the config that its run would have; writes nothing.

  What was left out of the file is said. Arguments and errors as `import_network`.
  """
  network = dict(options.pop('network', None) or {})
  rest = []
  for text in overrides:
    key, value = configs.split_override(text)
    group, _, name = key.partition('.')
    if group == 'student':
      network[name or 'name'] = configs.literal(value)
    else:
      rest.append(text)
  found = read_network(path, network=network, **options)
  for note in found.about['notes']:
    say(f'{path}: {note}')
  return found, _config(found, rest, data)


def _imported_before(workdir: pathlib.Path, found: ReadNetwork) -> dict[str, Any] | None:
  """What is noted of the same import; None where the folder is free."""
  if not is_imported(workdir):
    if (workdir / 'config.json').is_file():
      raise InputError(
        f'{str(workdir)!r} holds a run that was not imported; name another workdir'
      )
    return None
  old = json.loads((workdir / IMPORTED).read_text(encoding='utf-8'))
  new = json.loads(json.dumps(found.about))
  # Of an import that is older than an option the network has its default.
  defaults = network_options({'name': new['network']['name']})
  was = {**old, 'network': {**json.loads(json.dumps(defaults)), **old['network']}}
  # One file may hold several networks of one kind.
  facts = ('sha256', 'wrapper', 'prefix', 'network', 'classes', 'image_shape')
  changed = configs.differences(
    *({key: about.get(key) for key in facts} for about in (was, new))
  )
  if changed:
    raise InputError(
      f'{str(workdir)!r} holds another import ({changed[0]}); name another workdir'
    )
  return old


def _config(
  found: ReadNetwork, overrides: Sequence[str], data: Mapping[str, Any] | None
) -> ConfigDict:
  config = configs.base()
  known = dict(found.settings)
  if data is not None:
    known['data'] = dict(data)
  elif 'data' not in known and (found.classes, found.image_shape) in DATA_OF:
    known['data'] = {'name': DATA_OF[found.classes, found.image_shape]}
  asked = [text for text in overrides if text.split('=')[0] in ('data', 'data.name')]
  if 'data' not in known and not asked:
    raise InputError(
      f'nothing says which data a network of {found.classes} classes and images '
      f'{list(found.image_shape)} knows; give '
      f'--config.data.name, one of {", ".join(sorted(SOURCES))}'
    )
  for group, value in known.items():
    if group == 'evaluation':
      # Columns of another run replace the usual ones.
      config.evaluation.attacks = value.get('attacks', config.evaluation.attacks)
      config.evaluation.threat.update(value['threat'])
    else:
      config[group] = value
  config.student = dict(found.node)
  config.select.split = 'test'
  config.select.metric = 'clean'
  return resolve(config, list(overrides))
