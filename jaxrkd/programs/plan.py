"""What a config would do: networks, sizes, steps, memory, and a few real steps."""

import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import experiment
from jaxrkd.amalgamation import AMALGAMATIONS
from jaxrkd.data import Dataset
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.data_notes import tell
from jaxrkd.experiment.load import Trained, chosen, load_trained
from jaxrkd.experiment.prepare import prepare
from jaxrkd.experiment.teacher_runs import (
  check_classes,
  check_sources,
  check_teacher,
  teacher_options,
)
from jaxrkd.interop import read_network
from jaxrkd.models import Net, parameter_count
from jaxrkd.models.named import PRECISIONS, named_network
from jaxrkd.programs import predict
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.feed import make_feed
from jaxrkd.train.flops import count_flops
from jaxrkd.train.loop import Program
from jaxrkd.train.setup import Setup

# Seconds below which a first step is mostly what only the first call costs.
QUICK_SECONDS, TIMED_STEPS = 5.0, 4


def dry_run(config: ConfigDict, data_dir: str = '') -> dict[str, float]:
  """Prints the plan of an experiment and does a step of its student, or a few.

  Teachers that would be trained first are stood in for by untrained ones.

  Args:
    config: resolved.
    data_dir: where TFDS data lie.

  Returns:
    The scalars of the first step.
  """
  for key, value in configs.leaves(json.loads(config.to_json())):
    say(f'config.{key} = {value!r}')
  mesh = sharding.data_mesh(fsdp=config.mesh.fsdp)
  check_sources(config, pathlib.Path())
  data = experiment.dataset(config, data_dir)
  say(
    f'\ndata: {data.name}, {len(data.train)} training, {len(data.heldout)} held-out, '
    f'{len(data.test)} test images {data.image_shape}, {data.classes} classes'
    + (f', {len(data.extra)} extra images' if data.extra else '')
  )
  tell(data)
  say(f'devices: {jax.device_count()} x {jax.devices()[0].device_kind}')
  nets, variables, nodes = {}, {}, {}
  for name, net, values, node, text in _teachers(config, data, mesh):
    say(text)
    nets[name], variables[name], nodes[name] = net, values, node
  setup = prepare(config, data, nets, mesh)
  for role, shares in setup.distiller.teachers.roles.items():
    who = ', '.join(f'{name} {share:.3g}' for name, share in shares.items())
    rule = config.ensemble.name if config.ensemble.name in AMALGAMATIONS else ''
    say(f'answering as {role!r}: {", ".join(shares) + f", by {rule}" if rule else who}')
  state = setup.init()
  for name, trained in state.nets.items():
    node = config.online.get(name, config.student)
    say(f'{name}: {node["name"]}, {parameter_count(trained.params):,} parameters')
  say(f'method: {config.method.name}')
  attacks = experiment.method(config).inner.prepare is not None
  if attacks:
    say(f'training attack: {experiment.attack_in_words(config)}')
  if note := experiment.differs(config, attacks):
    say(f'note: {note}')
  say(
    f'steps: {setup.steps_per_epoch} per epoch, {setup.total_steps} in '
    f'{config.epochs} epochs'
    + (f', for each of {config.members} members' if config.members > 1 else '')
  )
  # Seeds trained at once are that many states in one program.
  program = Program([setup] * max(len(config.seeds), 1))
  feed = make_feed(setup, program.order, 0, {})
  state = program.join([state] * max(len(config.seeds), 1))
  arguments = (state, setup.join_teachers(variables), *feed.next(0))
  say('compiling one step, which may take minutes')
  began = time.monotonic()
  compiled = program.step.lower(*arguments).compile()
  say(f'compiled in {time.monotonic() - began:.1f} s')
  flops = count_flops(program.step, *arguments)
  rate = predict.matrix_rate(PRECISIONS[config.precision] or 'float32')
  least = flops / rate / jax.device_count()
  images = config.batch_size * max(len(config.seeds), 1)
  say(
    f'arithmetic: {_amount(flops / images / 1e9)} GFLOP per image, {flops / 1e12:.3g} '
    f'TFLOP per step. A matrix product reaches {rate / 1e12:.3g} TFLOP/s here in '
    f'{config.precision}; at this rate a step takes at least {_clock(least)}'
  )
  if not _tell_memory(compiled, config, setup, nodes, arguments):
    _tell_hours('at least', least, config, setup)
    return {}
  scalars, spent = _timed(compiled, *arguments)
  found = {name: float(value.mean()) for name, value in scalars.items()}
  shown = ', '.join(f'{name} {value:.4g}' for name, value in found.items())
  say(
    f'one step: {_clock(spent)}, {images / spent:.3g} images/s, {least / spent:.0%} '
    f'of that rate; {shown}'
  )
  _tell_hours('about', spent, config, setup)
  return found


def _timed(
  step: Callable[..., tuple[Any, Any]], state: Any, *rest: Any
) -> tuple[Any, float]:
  """The scalars of a first step, and the seconds of one.

  Where the first is quick some more are timed, one handed out after the other as in training:
  what only the first call costs would be most of it.
  """
  began = time.monotonic()
  state, first = step(state, *rest)
  scalars = jax.device_get(first)
  spent = time.monotonic() - began
  # One answer for all processes: a step of some of them waits for the others.
  if sharding.agreed(spent > QUICK_SECONDS):
    return scalars, spent
  began = time.monotonic()
  for _ in range(TIMED_STEPS):
    state, last = step(state, *rest)
  jax.block_until_ready(last)
  return scalars, (time.monotonic() - began) / TIMED_STEPS


def _amount(number: float) -> str:
  return f'{number:,.1f}' if number >= 1 else f'{number:.2g}'


def _clock(seconds: float) -> str:
  return f'{seconds:.2f} s' if seconds >= 1 else f'{1e3 * seconds:.1f} ms'


def _duration(seconds: float) -> str:
  if seconds < 60:
    return _clock(seconds)
  return (
    f'{seconds / 60:.2g} minutes' if seconds < 3600 else f'{seconds / 3600:.2g} hours'
  )


def _tell_hours(how: str, seconds: float, config: ConfigDict, setup: Setup) -> None:
  """What all steps take; those of teachers that are missing are a dry run of their own."""
  whole = seconds * setup.total_steps * config.members
  missing = [name for name, e in config.teachers.items() if not e.workdir and not e.file]
  more = f', without the training of {" and ".join(missing)}' if missing else ''
  say(f'training the student would take {how} {_duration(whole)} here{more}')


def _tell_memory(
  compiled: Any,
  config: ConfigDict,
  setup: Setup,
  nodes: Mapping[str, Any],
  arguments: Sequence[Any],
) -> bool:
  """Says what a step takes and, where it does not fit, what would; whether it fits."""
  memory, limit = predict.memory_of(compiled), predict.device_limit()
  if memory is None:
    return True
  say(f'memory per device: {memory}; there are {limit / predict.MEBI:,.0f} MiB')
  if predict.fits(memory, limit):
    parts = config.micro_batch or config.batch_size
    say(f'it fits with {parts} images at once in attacks and teachers')
    return True

  def compile_with(size: int, remat: bool) -> predict.Memory | None:
    words = f'micro_batch={size}' + (', remat=true' if remat else '')
    say(f'it does not fit; trying {words} ...')
    other = ConfigDict(config.to_dict())
    other.micro_batch, other.remat = size, remat or config.remat
    sizes = setup.data.classes, setup.data.image_shape, config.precision, other.remat
    nets = {name: named_network(node, *sizes) for name, node in nodes.items()}
    again = prepare(other.lock(), setup.data, nets, setup.mesh)
    program = Program([again] * max(len(config.seeds), 1))
    return predict.memory_of(program.step.lower(*arguments).compile())

  if None in nodes.values():
    say('it does not fit; with an ensemble as a teacher, smaller settings are not tried')
    return False
  batch, devices = config.batch_size, setup.mesh.size
  # With statistics of the batch in the attack, images are not apart.
  parts = (
    list(predict.smaller_parts(batch, devices)) if config.attack.bn == 'eval' else []
  )
  found = predict.first_that_fits(compile_with, parts, limit)
  if found is None:
    say(
      'nothing fits: take a smaller --config.batch_size, --config.precision=bfloat16, or '
      'more devices with --config.mesh.fsdp'
    )
  else:
    size, remat, memory = found
    more = ' --config.remat=true' if remat else ''
    say(f'it fits with --config.micro_batch={size}{more}: {memory}')
  return False


def _teachers(
  config: ConfigDict, data: Dataset, mesh: jax.sharding.Mesh
) -> Iterator[tuple[str, Net, tuple, ConfigDict | None, str]]:
  for name, entry in config.teachers.items():
    if entry.workdir:
      found = load_trained(
        pathlib.Path(entry.workdir),
        entry.checkpoint,
        mesh,
        config.precision,
        entry.epoch,
        entry.network,
        config.remat,
      )
      check_teacher(name, found, data)
      net, values = found.net, (found.state.params, found.state.stats)
      node, text = (
        _node_of(found, entry),
        f'from {entry.workdir} {entry.network}'.rstrip(),
      )
    elif entry.file:
      read = read_network(
        entry.file,
        precision=config.precision,
        remat=config.remat,
        **teacher_options(entry, data),
      )
      check_classes(name, read.classes, read.image_shape, data)
      values = sharding.put(
        jax.tree.map(np.asarray, read.variables), sharding.replicated(mesh)
      )
      net, node, text = read.net, read.node, f'from {entry.file}'
    else:
      own = entry.config
      nodes = experiment.network_nodes(own, experiment.method(own))
      node = nodes[entry.network or next(iter(nodes))]
      options = config.precision, config.remat
      net = named_network(node, data.classes, data.image_shape, *options)
      init = jax.jit(net.init, out_shardings=sharding.replicated(mesh))
      values = init(jax.random.key(0))
      text = f'would be trained first, {own.epochs} epochs of {own.method.name}'
    count = parameter_count(values[0])
    yield (
      name,
      net,
      values,
      node,
      f'teacher {name}: {node["name"] if node else "ensemble"}, {count:,} parameters, {text}',
    )


def _node_of(found: Trained, entry: ConfigDict) -> ConfigDict | None:
  """What names the network of a run; None for an ensemble of runs."""
  if found.networks is None:
    return None
  nodes = experiment.network_nodes(found.config, experiment.method(found.config))
  return nodes[entry.network or chosen(found.networks, found.record)]
