"""What a config would do: networks, sizes, steps, memory, and one real step."""

import json
import pathlib
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd.amalgamation import AMALGAMATIONS
from jaxrkd.data import Dataset
from jaxrkd.interop import read_network
from jaxrkd.models import Net, parameter_count
from jaxrkd.run.teachers import (
  check_classes,
  check_sources,
  check_teacher,
  teacher_options,
)
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.feed import make_feed
from jaxrkd.train.load import load_trained
from jaxrkd.train.setup import prepare


def dry_run(config: ConfigDict, data_dir: str = '') -> dict[str, float]:
  """Prints the plan of an experiment and does one step of its student.

  Teachers that would be trained first are stood in for by untrained ones.

  Args:
    config: resolved.
    data_dir: where TFDS data lie.

  Returns:
    The scalars of the step.
  """
  for key, value in configs.leaves(json.loads(config.to_json())):
    say(f'config.{key} = {value!r}')
  mesh = sharding.data_mesh(fsdp=config.mesh.fsdp)
  check_sources(config, pathlib.Path())
  data = build.dataset(config, data_dir)
  say(
    f'\ndata: {data.name}, {len(data.train)} training, {len(data.heldout)} held-out, '
    f'{len(data.test)} test images {data.image_shape}, {data.classes} classes'
    + (f', {len(data.extra)} extra images' if data.extra else '')
  )
  say(f'devices: {jax.device_count()} x {jax.devices()[0].device_kind}')
  nets, variables = {}, {}
  for name, net, values, text in _teachers(config, data, mesh):
    say(text)
    nets[name], variables[name] = net, values
  setup = prepare(config, data, nets, mesh)
  for role, shares in setup.faculty.roles.items():
    who = ', '.join(f'{name} {share:.3g}' for name, share in shares.items())
    rule = config.ensemble.name if config.ensemble.name in AMALGAMATIONS else ''
    say(f'answering as {role!r}: {", ".join(shares) + f", by {rule}" if rule else who}')
  state = setup.parts.init()
  for name, net in state.nets.items():
    node = config.online.get(name, config.student)
    say(f'{name}: {node.name}, {parameter_count(net.params):,} parameters')
  say(f'method: {config.method.name}')
  say(
    f'steps: {setup.steps_per_epoch} per epoch, {setup.total_steps} in '
    f'{config.epochs} epochs'
    + (f', for each of {config.members} members' if config.members > 1 else '')
  )
  arguments = (
    state,
    setup.join_teachers(variables),
    *make_feed(setup, lambda epoch: setup.order(jnp.int32(epoch)), 0, {}).next(0),
  )
  began = time.monotonic()
  compiled = setup.step.lower(*arguments).compile()
  say(f'compiled in {time.monotonic() - began:.1f} s')
  memory = compiled.memory_analysis()
  if memory is not None:
    parts = {
      'arguments': memory.argument_size_in_bytes,
      'working space': memory.temp_size_in_bytes,
      'results beside them': memory.output_size_in_bytes - memory.alias_size_in_bytes,
    }
    text = ', '.join(f'{name} {size / 2**20:,.0f} MiB' for name, size in parts.items())
    say(f'memory per device: {sum(parts.values()) / 2**20:,.0f} MiB ({text})')
  began = time.monotonic()
  _, scalars = compiled(*arguments)
  found = {name: float(value) for name, value in jax.device_get(scalars).items()}
  spent = time.monotonic() - began
  shown = ', '.join(f'{name} {value:.4g}' for name, value in found.items())
  say(f'one step: {spent:.2f} s, {config.batch_size / spent:.3g} images/s; {shown}')
  say(
    'training alone would take about '
    f'{spent * setup.total_steps * config.members / 3600:.2g} hours here'
  )
  return found


def _teachers(
  config: ConfigDict, data: Dataset, mesh: jax.sharding.Mesh
) -> Iterator[tuple[str, Net, tuple, str]]:
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
      node, text = found.config, f'from {entry.workdir} {entry.network}'.rstrip()
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
      net, node, text = read.net, {'student': read.node}, f'from {entry.file}'
    else:
      node = entry.config
      nodes = build.network_nodes(node, build.method(node))
      chosen = nodes[entry.network or next(iter(nodes))]
      options = config.precision, config.remat
      net = build.network(chosen, data.classes, data.image_shape, *options)
      init = jax.jit(net.init, out_shardings=sharding.replicated(mesh))
      values = init(jax.random.key(0))
      text = f'would be trained first, {node.epochs} epochs of {node.method.name}'
    count = parameter_count(values[0])
    yield (
      name,
      net,
      values,
      f'teacher {name}: {node["student"].name}, {count:,} parameters, {text}',
    )
