"""A trained network out of a run's workdir."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxrkd.amalgamation import Amalgamation
from jaxrkd.errors import InputError, nearest
from jaxrkd.experiment import make
from jaxrkd.experiment.prepare import learner
from jaxrkd.experiment.threats import following
from jaxrkd.models import Net, ensemble
from jaxrkd.models.named import named_network
from jaxrkd.paths import expanded
from jaxrkd.runtime import sharding
from jaxrkd.runtime.checkpoint import Checkpoints
from jaxrkd.train.averages import moving_average
from jaxrkd.train.networks import STUDENT, TrainedNetworks, make_networks
from jaxrkd.train.record import RunRecord
from jaxrkd.train.state import NetState

Tree = Any
# Beside the checkpoint of a network that came from a file: where it comes from.
IMPORTED = 'imported.json'
# Of a run that was trained to its end without being measured (`run.train`).
TRAINED = 'trained.json'


class Trained(NamedTuple):
  """A network from a checkpoint.

  Attributes:
    net: its functions.
    state: its parameters, statistics and average.
    record: what was saved beside it; of an ensemble of runs the first member's.
    config: of the run that trained it.
    networks: all networks of that run; None for an ensemble of runs.
    nets: their states, by name.
    members: the records of an ensemble of runs, whose members may have been best at
      different epochs.
  """

  net: Net
  state: NetState
  record: RunRecord
  config: ConfigDict
  networks: TrainedNetworks | None = None
  nets: Mapping[str, NetState] = {}
  members: tuple[RunRecord, ...] = ()

  @property
  def step(self) -> int | list[int]:
    """Updates done; of an ensemble of runs those of each member."""
    if self.members:
      return [member.step for member in self.members]
    return self.record.step

  @property
  def best(self) -> Any:
    """How it was chosen, as JSON; of an ensemble of runs how each member was."""
    if self.members:
      return [member.best and member.best.to_json() for member in self.members]
    return self.record.best and self.record.best.to_json()

  def of(self, name: str, averaged: bool = False) -> 'Trained':
    """Another network of the same checkpoint; `averaged` takes its moving average."""
    assert self.networks is not None
    state = self.nets[name]
    if averaged:
      state = dataclasses.replace(state, params=moving_average(state.average))
    return self._replace(net=self.networks.nets[name], state=state)


def read_config(workdir: pathlib.Path) -> ConfigDict:
  """The resolved config of a run.

  Raises:
    InputError: the folder is not a run.
  """
  path = expanded(workdir) / 'config.json'
  if not path.is_file():
    raise InputError(
      f'{str(workdir)!r} is not the workdir of a run: it has no config.json; name the '
      'folder that --workdir named when it was trained'
    )
  try:
    found = json.loads(path.read_text(encoding='utf-8'))
  except ValueError as error:
    raise InputError(
      f'{str(path)!r} is damaged ({error}); restore it from a copy'
    ) from error
  if not isinstance(found, dict):
    raise InputError(
      f'{str(path)!r} is damaged: it holds no config; restore it from a copy'
    )
  return following(ConfigDict(found))


def load_trained(
  workdir: pathlib.Path,
  kind: str,
  mesh: jax.sharding.Mesh,
  precision: str = '',
  epoch: int = 0,
  network: str = '',
  remat: bool | None = None,
) -> Trained:
  """Reads the newest sound checkpoint of a kind; an ensemble where the run trained one.

  A network that was imported from a file has one checkpoint, which serves as every kind.

  Args:
    workdir: folder of a run.
    kind: 'best', 'last', 'ema' for the averaged parameters of the last, or 'swa' for those
      of an average over epochs.
    mesh: devices to put it on, a copy on each.
    precision: compute type; empty takes the run's own.
    epoch: read what was kept after this epoch instead; 0 reads `kind`.
    network: one of several that the run trained together, such as an online teacher of
      at_aka; empty takes its student, the best one where there are several.
    remat: see `config.remat`; None takes the run's own.

  Raises:
    InputError: not a run, or it has no such checkpoint or network.
  """
  workdir = expanded(workdir)
  if kind == 'ema':
    found = load_trained(workdir, 'last', mesh, precision, epoch, network, remat)
    moving = moving_average(found.state.average)
    if not jax.tree.leaves(moving):
      raise InputError(
        f'{str(workdir)!r} kept no average of its parameters; take its best or last '
        'checkpoint, or train it in a new workdir with --config.ema.decay=0.995'
      )
    state = dataclasses.replace(found.state, params=moving)
    return found._replace(state=state)
  config = read_config(workdir)
  if precision:
    config.precision = precision
  if remat is not None:
    config.remat = remat
  if is_imported(workdir):
    if network not in ('', STUDENT):
      raise InputError(
        f'{str(workdir)!r} was imported and has no network {network!r} (there: {STUDENT})'
      )
    return _load_imported(workdir, mesh, config)
  if config.get('seeds'):
    first = seed_folder(workdir, config.seeds[0])
    raise InputError(
      f'{str(workdir)!r} holds the runs of {len(config.seeds)} seeds; name one of them, such '
      f'as {str(first)!r}'
    )
  if config.get('members', 1) > 1:
    return _load_members(workdir, kind, mesh, config, epoch, network)
  checkpoints = _open_kept(workdir, epoch) if epoch else _open(workdir, kind)
  written, restored = checkpoints.newest_record(), None
  if written is not None:
    record = RunRecord.from_json(written)
    made = learner(config, record.classes, record.image_shape, mesh)
    restored = checkpoints.restore(made.like, only=epoch or None)
  checkpoints.close()
  if restored is None:
    what = f'checkpoint of epoch {epoch}' if epoch else f'{kind} checkpoint'
    raise InputError(
      f'no {what} in {str(workdir)!r} can be read; train it again in a new workdir'
    )
  state, record = restored[0], RunRecord.from_json(restored[1])
  name = network or chosen(made.networks, record)
  if name not in made.networks.nets:
    known = ', '.join(made.networks.nets)
    raise InputError(
      f'{str(workdir)!r} trained no network {name!r}{nearest(name, made.networks.nets)} '
      f'(there: {known})'
    )
  nets, several = state.nets, made.networks.student is None
  if several and kind == 'best' and not epoch and name != chosen(made.networks, record):
    own, record = _own_best(workdir, name, made.like.nets[name])
    nets = {**nets, name: own}
  return Trained(
    made.networks.nets[name], nets[name], record, config, made.networks, nets
  )


def is_imported(workdir: pathlib.Path) -> bool:
  """Whether a run's network came from a file (`interop.import_network`)."""
  # The config is written last: an import that was cut off has none.
  return all((workdir / name).is_file() for name in (IMPORTED, 'config.json'))


def like_imported(net: Net, mesh: jax.sharding.Mesh) -> NetState:
  """What a checkpoint of an imported network looks like: no optimiser, no average."""
  everywhere = sharding.replicated(mesh)
  variables = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere),
    jax.eval_shape(net.init, jax.random.key(0)),
  )
  params, stats = variables
  return NetState(params, stats, {}, {})


def _load_imported(
  workdir: pathlib.Path, mesh: jax.sharding.Mesh, config: ConfigDict
) -> Trained:
  store = _open(workdir, 'best')
  written, restored = store.newest_record(), None
  if written is not None:
    record = RunRecord.from_json(written)
    options = config.precision, config.get('remat', False)
    net = named_network(config.student, record.classes, record.image_shape, *options)
    restored = store.restore(like_imported(net, mesh))
  store.close()
  if restored is None:
    raise InputError(
      f'the network imported to {str(workdir)!r} cannot be read; import it again into a new '
      'workdir'
    )
  state, record = restored[0], RunRecord.from_json(restored[1])
  networks = make_networks(net, '', {})
  return Trained(net, state, record, config, networks, {STUDENT: state})


def _own_best(
  workdir: pathlib.Path, name: str, like: NetState
) -> tuple[NetState, RunRecord]:
  """One of several students at the epoch at which it was best, and its record."""
  store = _open(workdir, f'best_{name}')
  restored = store.restore(like)
  store.close()
  if restored is None:
    raise InputError(
      f'no best checkpoint of {name} in {str(workdir)!r} can be read; take its last, or '
      'train it again in a new workdir'
    )
  return restored[0], RunRecord.from_json(restored[1])


def chosen(networks: TrainedNetworks, record: RunRecord) -> str:
  """The network that stands for a run: its student, the best one of several."""
  if networks.student is not None:
    return STUDENT
  return (record.best and record.best.network) or networks.names[0]


def _open(workdir: pathlib.Path, kind: str) -> Checkpoints:
  folder = workdir / 'checkpoints' / kind
  checkpoints = Checkpoints(folder, writable=False) if folder.is_dir() else None
  if checkpoints is None or not checkpoints.steps():
    if kind == 'swa' and not read_config(workdir).get('swa', {}).get('start'):
      raise InputError(
        f'{str(workdir)!r} kept no average over epochs; take its best or last checkpoint, or '
        'train it in a new workdir with --config.swa.start=EPOCH'
      )
    raise InputError(
      f'{str(workdir)!r} has no {kind} checkpoint; finish its training first by running '
      'the command that began it'
    )
  return checkpoints


def _open_kept(workdir: pathlib.Path, epoch: int) -> Checkpoints:
  folder = workdir / 'checkpoints' / 'kept'
  checkpoints = Checkpoints(folder, None, writable=False) if folder.is_dir() else None
  there = checkpoints.steps() if checkpoints else []
  if checkpoints is None or epoch not in there:
    known = ', '.join(map(str, there)) or 'none'
    raise InputError(
      f'{str(workdir)!r} kept no checkpoint of epoch {epoch} (kept: {known}); name one of '
      f'these, or train it in a new workdir with --config.keep_epochs={epoch}'
    )
  return checkpoints


def member_folder(workdir: pathlib.Path, number: int) -> pathlib.Path:
  """Where member `number` of an ensemble lives."""
  return workdir / 'members' / str(number)


def seed_folder(workdir: pathlib.Path, seed: int) -> pathlib.Path:
  """Where the run of one of several seeds lives."""
  return workdir / 'seeds' / str(seed)


def teacher_folder(config: ConfigDict, workdir: pathlib.Path, name: str) -> pathlib.Path:
  """Where a teacher's run is."""
  entry = config.teachers[name]
  return pathlib.Path(entry.workdir) if entry.workdir else workdir / 'teachers' / name


def load_teacher(
  config: ConfigDict,
  workdir: pathlib.Path,
  name: str,
  mesh: jax.sharding.Mesh,
  precision: str = 'float32',
) -> Trained:
  """A teacher of a run, as its config says; by default in float32, to be measured."""
  entry, home = config.teachers[name], teacher_folder(config, workdir, name)
  network, remat = entry.get('network', ''), config.get('remat', False)
  return load_trained(
    home, entry.checkpoint, mesh, precision, entry.epoch, network, remat
  )


def _load_members(workdir, kind, mesh, config, epoch, network) -> Trained:
  """All members as one network; its record is the first member's."""
  found = [
    load_trained(
      member_folder(workdir, k),
      kind,
      mesh,
      config.precision,
      epoch,
      network,
      config.get('remat', False),
    )
    for k in range(config.members)
  ]
  shares = [1 / len(found)] * len(found)
  average_of = make.average(config)
  # Image by image one can only weigh in training; `build.check` refuses it.
  assert not isinstance(average_of, Amalgamation)
  nets = [member.net for member in found]
  net, join = ensemble(nets, shares, average_of, config.get('stacking', 'auto'))
  everywhere = sharding.replicated(mesh)
  join = jax.jit(join, out_shardings=everywhere)
  params, stats = join([(m.state.params, m.state.stats) for m in found])
  average: Tree = {}
  own = [moving_average(member.state.average) for member in found]
  if all(map(jax.tree.leaves, own)):
    average, _ = join([(moving, m.state.stats) for moving, m in zip(own, found)])
  state = NetState(params, stats, {}, average)
  members = tuple(member.record for member in found)
  return Trained(net, state, found[0].record, config, members=members)
