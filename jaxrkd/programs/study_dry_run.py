"""What a study would do: its runs, what they share, their hours here; and a list of studies."""

import functools
import json
import pathlib
from collections.abc import Sequence

import jax
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.evaluate.fingerprint import fingerprint
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.prepare import prepare
from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.experiment.study_plan import Plan, Training
from jaxrkd.interop import read_network
from jaxrkd.models.named import PRECISIONS, named_network
from jaxrkd.programs import predict
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import duration, say
from jaxrkd.train.flops import count_flops

# Written by benchmarks/study_costs.py, and tested.
COSTS = configs.SHIPPED / 'studies' / 'printed' / 'costs.json'
# What ResNets sustain in bfloat16 on one H200; docs/performance.md.
SUSTAINED = 230e12


def listing() -> str:
  """Every study of jaxrkd: what it asks, and how much it trains at the paper's scale."""
  costs = json.loads(COSTS.read_text(encoding='utf-8'))
  lines = []
  for name in names():
    study, cost = load_study(name), costs[name]
    hours = duration(cost['flop'] / SUSTAINED)
    lines.append(
      f'{name:14} {study.title}: {study.asks}\n{"":14} {len(study.rows)} rows, '
      f'{cost["trainings"]} trainings, {cost["epochs"]:,} epochs in all, '
      f'{hours} on one H200'
    )
  return '\n'.join(lines) + (
    '\n\nThis is the cost at the scale of the papers, if every teacher is trained here. '
    f'The hours are those of the arithmetic at {SUSTAINED / 1e12:g} TFLOP/s, one H200 in '
    'bfloat16, without the measurements. jaxrkd study --name=NAME --dry_run shows what '
    'each training costs on this device. --scale=small or --scale=smoke takes less.'
  )


def cost(made: Plan) -> dict[str, int]:
  """What `listing` says of a study: resolving all of them takes half a minute."""
  epochs = (t.config.get('epochs', 0) * _members(t) for t in made.trainings.values())
  return {'trainings': len(made.trainings), 'epochs': sum(epochs)}


def describe(made: Plan, data_dir: str = '') -> None:
  """Prints the trainings of a study with their arithmetic; trains nothing.

  Raises:
    InputError: a training that would fail; those after it are looked at first.
  """
  rows, seeds = len({one.row.key for one in made.wanted}), _seeds(made)
  say(f'{made.study.title}: {made.study.asks}')
  few = 'seed' if len(seeds) == 1 else 'seeds'
  say(f'{rows} rows, {len(seeds)} {few}, {len(made.trainings)} trainings\n')
  wrong: dict[str, list[str]] = {}
  for key, why in made.refused.items():
    wrong.setdefault(why, []).append(key)
  flop: list[tuple[float, float]] = []
  for training in made.trainings.values():
    try:
      one = training_flop(made, training, data_dir)
    except InputError as error:
      wrong.setdefault(str(error), []).append(training.title)
      config = training.config
      say(
        f'  {training.folder}: {config.data.name}, seed {config.seed}, {config.epochs} '
        f'epochs, cost unknown: see the error\n    for {_some(training.users)}'
      )
      continue
    flop.append((one, one / _rate(training.config.precision)))
    say(f'  {_line(made, training, one, flop[-1][1])}')
  if flop:
    whole, seconds = (sum(column) for column in zip(*flop))
    say(
      f'\n{len(flop)} trainings: {duration(seconds / jax.device_count())} here at the rate '
      'of a matrix product, '
      f'{duration(whole / SUSTAINED)} on one H200 at {SUSTAINED / 1e12:g} TFLOP/s, '
      'without the measurements'
    )
  if wrong:
    told = '; '.join(f'{_some(names)}: {why}' for why, names in wrong.items())
    count = sum(map(len, wrong.values()))
    raise InputError(f'{count} of {len(made.trainings)} trainings would fail. {told}')


def _seeds(made: Plan) -> set[int]:
  return {one.seed for one in made.wanted}


def _line(made: Plan, training: Training, flop: float, seconds: float) -> str:
  """What a training is, what it costs and whom it is for."""
  config = training.config
  if training.source:
    return f'{training.folder}: from {training.source.file}, for {_some(training.users)}'
  taught = ', '.join(made.trainings[m].folder for m in training.teachers.values())
  more = f'\n    taught by {taught}' if taught else ''
  return (
    f'{training.folder}: {config.data.name}, seed {config.seed}, {config.epochs} epochs, '
    f'{duration(seconds / jax.device_count())} here, {duration(flop / SUSTAINED)} on one H200\n'
    f'    for {_some(training.users)}{more}'
  )


def _some(names: Sequence[str], most: int = 4) -> str:
  """The first names, and how many more there are."""
  more = f' and {len(names) - most} more' if len(names) > most else ''
  return '; '.join(names[:most]) + more


def _members(training: Training) -> int:
  return training.config.get('members', 1)


# Trainings but for seeds -> their arithmetic: every seed has the same.
KNOWN: dict[str, float] = {}


def training_flop(made: Plan, training: Training, data_dir: str) -> float:
  """The arithmetic of all updates of a training; none of one from a file.

  Raises:
    InputError: the training would fail.
  """
  told = json.loads(training.config.to_json())
  told['seed'] = 0
  teachers = [made.trainings[mark] for mark in training.teachers.values()]
  networks = [str((t.source, t.config.get('student'))) for t in teachers]
  mark = fingerprint([told, networks, training.source])
  if mark not in KNOWN:
    KNOWN[mark] = _traced(made, training, data_dir)
  return KNOWN[mark]


def _traced(made: Plan, training: Training, data_dir: str) -> float:
  """Counts the traced step."""
  if training.source:
    _network(training, '')  # Whether the file is there.
    return 0.0
  config = training.config
  data = experiment.dataset(config, data_dir)
  mesh = sharding.data_mesh()
  nets, variables = {}, {}
  for name, entry in config.teachers.items():
    mark = training.teachers.get(name)
    taught = made.trainings[mark] if mark else None
    node = _network(taught, entry.workdir)
    net = named_network(node, data.classes, data.image_shape, config.precision)
    nets[name] = net
    variables[name] = jax.eval_shape(net.init, jax.random.key(0))
  setup = prepare(ConfigDict(config.to_dict()).lock(), data, nets, mesh)
  joined = jax.eval_shape(setup.distiller.teachers.join, variables)
  arrays = data.train.arrays()
  abstract = {
    key: jax.ShapeDtypeStruct(value.shape, value.dtype) for key, value in arrays.items()
  }
  order = jax.eval_shape(setup.order, jax.ShapeDtypeStruct((), 'int32'))
  flops = count_flops(setup.train_step, setup.learner.like, joined, abstract, order)
  return flops * setup.total_steps * _members(training)


def _network(taught: Training | None, workdir: str) -> ConfigDict:
  """The network of a teacher: trained here, from a file, or of a finished run.

  Raises:
    InputError: no such file or run, or the file does not hold the network.
  """
  if taught is None:
    return read_config(pathlib.Path(workdir)).student
  if not taught.source:
    return taught.config.student
  source = taught.source
  known = {'recipe': source.recipe} if source.recipe else {'network': source.network}
  return ConfigDict(read_network(source.file, check=False, **known).node)


@functools.cache
def _rate(precision: str) -> float:
  return predict.matrix_rate(PRECISIONS[precision] or 'float32')
