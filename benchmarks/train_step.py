"""Images per second of one MTARD step: jaxrkd against PyTorch, in one run.

Usage: python benchmarks/train_step.py [--student=resnet18] [--batch=128] [--repeats=3]
                                       [--precision=float32] [--peers=eager,channels_last]

Both sides do the same work on the same random images: PGD-10 on the student in evaluation
mode, both teachers' outputs, two training-mode forwards, one SGD update with the papers'
settings. Teachers are ResNet-56 and WRN-16-4, small enough for a CPU. The peers are
written in `torch_mtard.py`: `eager` is the structure of the authors' code (channels first),
`channels_last` the same in the memory layout that convolutions prefer, `compile` adds
torch.compile. Measurements alternate between the sides; the fastest of each is reported.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import build
from jaxrkd import config as configs
from jaxrkd import optimizers as optim
from jaxrkd.attacks import Linf, example_keys, pgd_search
from jaxrkd.methods import METHODS
from jaxrkd.models import AVERAGES
from jaxrkd.train.crew import STUDENT, make_crew
from jaxrkd.train.state import Optimizers, init_state, run_keys
from jaxrkd.train.step import make_update
from jaxrkd.train.teachers import make_faculty

CLASSES, SIZE = 10, 32


def jax_step(student: str, batch: int, precision: str):
  """Returns a function that does one step and waits for it."""

  def network(name, **options):
    node = configs.ConfigDict({'name': name, **build.NETWORK_KEYS, **options})
    return build.network(node, CLASSES, (SIZE, SIZE, 3), precision)

  nets = {'clean': network('resnet56'), 'robust': network('wrn', depth=16, width=4)}
  method = METHODS['mtard']()
  schedule = optim.SCHEDULES['milestones'](300, 391, milestones=(215, 260, 285))
  optimizers = Optimizers(
    optim.sgd(schedule),
    optim.weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
  )
  search = pgd_search(Linf(8 / 255), steps=10, step_size=2 / 255, start='gauss')
  net = network(student)
  roles = {'clean': {'clean': 1.0}, 'robust': {'robust': 1.0}}
  faculty = make_faculty(nets, roles, AVERAGES['probabilities'])
  update = jax.jit(
    make_update(make_crew(net, '', {}), faculty, method, search, optimizers),
    donate_argnums=0,
  )
  init_key, step_key, _ = run_keys(0)
  state = jax.jit(
    lambda: init_state(
      init_key, step_key, nets={STUDENT: net}, method=method, optimizers=optimizers
    )
  )()
  teachers = faculty.join(
    {name: jax.jit(n.init)(jax.random.key(1)) for name, n in nets.items()}
  )
  rng = np.random.default_rng(0)
  data = {
    'image': jnp.asarray(rng.uniform(size=(batch, SIZE, SIZE, 3)), jnp.float32),
    'label': jnp.asarray(rng.integers(0, CLASSES, batch), jnp.int32),
    'key': example_keys(jax.random.key(2), jnp.arange(batch)),
  }
  held = [state]

  def step():
    held[0], scalars = update(held[0], teachers, data)
    return float(scalars['loss'])

  return step


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--student', default='resnet18', choices=('resnet18', 'mobilenet_v2')
  )
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--repeats', type=int, default=3)
  parser.add_argument('--precision', default='float32', choices=('float32', 'bfloat16'))
  parser.add_argument('--peers', default='eager,channels_last', help='empty for none')
  options = parser.parse_args()

  sides = {'jaxrkd': jax_step(options.student, options.batch, options.precision)}
  peers = [peer for peer in options.peers.split(',') if peer]
  if peers:
    import torch_mtard

    for peer in peers:
      sides[f'torch {peer}'] = torch_mtard.make_step(
        options.student, options.batch, options.precision, peer
      )
  first, best = {}, dict.fromkeys(sides, float('inf'))
  for name, step in sides.items():
    began = time.perf_counter()
    step()
    first[name] = time.perf_counter() - began
  for _ in range(options.repeats):
    for name, step in sides.items():
      began = time.perf_counter()
      step()
      best[name] = min(best[name], time.perf_counter() - began)

  device = jax.devices()[0].device_kind
  print(
    f'MTARD step, {options.student}, batch {options.batch}, {options.precision}, {device}'
  )
  print(f'{"":22}{"first s":>9}{"s/step":>9}{"images/s":>10}{"jaxrkd is":>11}')
  for name, seconds in best.items():
    ratio = seconds / best['jaxrkd']
    print(
      f'{name:22}{first[name]:9.1f}{seconds:9.2f}{options.batch / seconds:10.1f}'
      f'{ratio:9.2f} x'
    )


if __name__ == '__main__':
  main()
