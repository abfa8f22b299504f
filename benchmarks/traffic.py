"""What a compiled step reads and writes, operation by operation, also on devices elsewhere.

Usage: python benchmarks/traffic.py [--method=mtard] [--student=resnet18] [--batch=128]
         [--precision=bfloat16] [--data=cifar10] [--teachers=paper|small] [--fsdp=1]
         [--target=h200.txtpb|v5e:4x4] [--top=20]

Nothing is run: the step is compiled, and the operands and results of its operations are added
up on each device, those in the attack's loop once for each of its steps (except on TPUs, whose
compiler does not tell how often a loop runs). That is an estimate: no caches, and whole operands
also where a part is read. Collectives are what the devices tell each other. Without `--target` the
step is compiled for one device of this machine.

`--target` compiles for devices that are not there. A file is XLA's description of a GPU, which
its source code has in `xla/backends/gpu/target_config/specs`, and takes jax with CUDA (`pip
install 'jax[cuda12]'`); a name such as v5e:4x4 is a TPU slice of 16 chips, and takes jax with
libtpu (`pip install 'jax[tpu]'`).
"""

import collections
import os
import re
from unittest import mock

# The plugins of both look for their devices before they compile anything.
os.environ.setdefault('JAX_SKIP_CUDA_CONSTRAINTS_CHECK', '1')
os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')

import hlo
import jax
import steps
from jax.experimental import topologies

from jaxrkd.errors import InputError
from jaxrkd.runtime import sharding


def devices_of(target):
  """Those that a file or a TPU slice's name describes; the one at hand without."""
  if not target:
    return jax.devices()[:1]
  if re.fullmatch(r'\w+:\d+(x\d+)*', target):
    jax.config.update('jax_platforms', 'cpu')  # it would wait for a TPU
    given = (target, 'tpu'), {}
  elif os.path.isfile(target):
    with open(target, encoding='utf-8') as file:
      given = ('described', 'cuda'), dict(topology='1x1x1', target_config=file.read())
  else:
    raise InputError(
      f'--target={target} is no file, and no TPU slice such as v5e:4x4; give the path of a '
      "file that describes a GPU, or a slice's name"
    )
  names, options = given
  try:
    return topologies.get_topology_desc(*names, **options).devices
  except (RuntimeError, NotImplementedError) as error:
    raise InputError(
      f'jax cannot compile for --target={target}: {str(error).strip().splitlines()[0]}'
    ) from error


def kind_of(operation: hlo.Operation) -> str:
  """A name for what it does; cuDNN's convolutions by what they take along."""
  target = re.search(r'custom_call_target="([^"]*)"', operation.line)
  if target:
    activation = re.search(r'"activation_mode":"k(\w+)"', operation.line)
    words = [target[1]]
    if activation and activation[1] != 'None':
      words.append(f'and {activation[1]}')
    if '"side_input_scale":1' in operation.line:
      words.append('of a sum')
    return ' '.join(words)
  if operation.kind == 'fusion':
    return re.sub(r'[._]\d+', '', operation.name)
  return operation.kind


def parse():
  parser = steps.arguments(__doc__, 'paper')
  parser.add_argument('--fsdp', type=int, default=1)
  parser.add_argument('--target', default='', help='file of a GPU, name of a TPU slice')
  parser.add_argument('--top', type=int, default=20, help='kinds to print')
  return parser.parse_args()


def main():
  options = parse()
  config = steps.experiment_of(options, [f'mesh.fsdp={options.fsdp}'])
  devices = devices_of(options.target)
  mesh = sharding.data_mesh(devices, options.fsdp)
  platform = {'cuda': 'gpu'}.get(devices[0].platform, devices[0].platform)
  # What is traced depends on it.
  with mock.patch.object(jax, 'default_backend', lambda: platform):
    setup, arguments = steps.described(config, mesh)
    program = setup.step.lower(*arguments).compile()
  times, moved = collections.Counter(), collections.Counter()
  text = program.as_text()
  for operation in hlo.operations(text):
    kind = kind_of(operation)
    times[kind] += operation.times
    moved[kind] += operation.times * operation.size
  told, sizes, inside = hlo.collectives(text)
  hosts = len({device.process_index for device in devices})
  print(
    f'{options.method}, {options.student}, batch {options.batch}, {options.precision}, '
    f'{len(devices)} x {devices[0].device_kind}, {hosts} host{"s" * (hosts > 1)}'
  )
  print(
    f'a device runs {sum(times.values())} operations per step, which move '
    f'{sum(moved.values()) / 1e9:.2f} GB'
  )
  memory = program.memory_analysis()
  if memory:
    print(f'it needs {memory.temp_size_in_bytes / 1e9:.2f} GB beside state and data')
  if told:
    counts = ', '.join(
      f'{count} {kind} ({sizes[kind] / 2**20:.1f} MiB)' for kind, count in told.items()
    )
    print(f'collectives: {counts}; {inside} of them in the loop of the attack')
  untold = text.count(' while(') - text.count('"known_trip_count"')
  if untold:
    print(f'{untold} loops count once: XLA does not tell how often they run')
  for kind, size in moved.most_common(options.top):
    print(f'{size / 1e9:10.3f} GB{times[kind]:7}  {kind}')


if __name__ == '__main__':
  try:
    main()
  except InputError as error:
    raise SystemExit(f'error: {error}') from None
