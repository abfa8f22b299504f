"""What a study would do: its runs, what they share, their hours here; and a list of studies."""

import functools
import json
import pathlib

import jax
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.errors import InputError
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.load import read_config
from jaxrkd.experiment.prepare import prepare
from jaxrkd.experiment.study_files import load_study, names
from jaxrkd.experiment.study_plan import Plan, Training
from jaxrkd.interop import read_network
from jaxrkd.models.named import PRECISIONS, named_network
from jaxrkd.programs import predict
from jaxrkd.programs.flops import count_flops
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say

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
    lines.append(
      f'{name:14} {study.paper}, {study.item}: {study.asks}\n{"":14} {len(study.rows)} rows, '
      f'{cost["trainings"]} trainings, {cost["epochs"]:,} epochs in all, '
      f'{_told(cost["flop"] / SUSTAINED / 3600)}'
    )
  return '\n'.join(lines) + (
    '\n\nThat is at the scale of the papers, with every teacher trained here. Hours are those '
    f'of the arithmetic at {SUSTAINED / 1e12:g} TFLOP/s, one H200 in bfloat16; measuring comes on '
    'top. jaxrkd study --name=NAME --dry_run says what each training costs on this device, '
    '--scale=small or --scale=smoke takes less.'
  )


def _told(hours: float) -> str:
  return f'{hours:.1f} h' if hours < 10 else f'{hours:,.0f} h'


def cost(made: Plan) -> dict[str, int]:
  """What `listing` says of a study: resolving all of them takes half a minute."""
  epochs = (t.config.get('epochs', 0) * _members(t) for t in made.trainings.values())
  return {'trainings': len(made.trainings), 'epochs': sum(epochs)}


def describe(made: Plan, data_dir: str = '') -> None:
  """Prints the trainings of a study with their arithmetic; trains nothing.

  Raises:
    InputError: a training that would fail; those after it are looked at first.
  """
  say(f'{made.study.paper}, {made.study.item}: {made.study.asks}')
  say(f'{len(made.wanted)} rows and seeds, {len(made.trainings)} trainings\n')
  wrong = dict(made.refused)
  total = 0.0
  for training in made.trainings.values():
    try:
      hours = _hours(made, training, data_dir)
    except InputError as error:
      wrong[training.title] = str(error)
      continue
    total += hours
    shared = f', for {len(training.users)} rows' if len(training.users) > 1 else ''
    taught = ', '.join(made.trainings[m].folder for m in training.teachers.values())
    more = f'\n    taught by {taught}' if taught else ''
    epochs = training.config.get('epochs', 0)
    say(f'  {training.folder}: {epochs} epochs, at least {hours:.3g} h{shared}{more}')
  say(
    f'\nall trainings: at least {total:.3g} hours here, at the rate of a matrix product; '
    'measuring comes on top'
  )
  if wrong:
    told = '; '.join(f'{name}: {reason}' for name, reason in wrong.items())
    raise InputError(f'{len(wrong)} of these would fail: {told}')


def _members(training: Training) -> int:
  return training.config.get('members', 1)


def _hours(made: Plan, training: Training, data_dir: str) -> float:
  """Hours at the rate of a matrix product: a bound from below."""
  if training.source:
    return 0.0
  rate = _rate(training.config.precision)
  return training_flop(made, training, data_dir) / rate / jax.device_count() / 3600


def training_flop(made: Plan, training: Training, data_dir: str) -> float:
  """The arithmetic of all updates of a training."""
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
