"""Several teachers of one architecture: one vmapped call against a loop over them.

Usage: python benchmarks/teachers.py [--network=resnet18] [--count=3] [--batch=32]

Both give the same mean probabilities. `forward` is what an outer loss asks for, `gradient`
with respect to the images what MMARD's inner problem asks for at every step.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import build
from jaxrkd.config import ConfigDict
from jaxrkd.models import AVERAGES
from jaxrkd.train.teachers import make_faculty


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--network', default='resnet18')
  parser.add_argument('--count', type=int, default=3)
  parser.add_argument('--batch', type=int, default=32)
  parser.add_argument('--repeats', type=int, default=5)
  options = parser.parse_args()

  node = ConfigDict({'name': options.network, **build.NETWORK_KEYS})
  net = build.network(node, 10, (32, 32, 3))
  names = [f't{k}' for k in range(options.count)]
  share = 1 / options.count
  stacked = make_faculty(
    dict.fromkeys(names, net),
    {'all': dict.fromkeys(names, share)},
    AVERAGES['probabilities'],
  )
  # A role of its own for each keeps them apart.
  apart = make_faculty(
    dict.fromkeys(names, net),
    {'all': dict.fromkeys(names, share), **{name: {name: 1.0} for name in names}},
    AVERAGES['probabilities'],
  )
  variables = {name: jax.jit(net.init)(jax.random.key(k)) for k, name in enumerate(names)}
  images = jnp.asarray(
    np.random.default_rng(0).uniform(size=(options.batch, 32, 32, 3)), jnp.float32
  )

  def functions(faculty):
    def forward(joined, x):
      return faculty.teachers(joined)['all'](x)

    def total(joined, x):
      return jax.nn.log_softmax(forward(joined, x))[:, 0].sum()

    joined = faculty.join(variables)
    kinds = (
      ('forward', jax.jit(forward)),
      ('gradient', jax.jit(jax.grad(total, argnums=1))),
    )
    return {
      name: lambda f=f: jax.block_until_ready(f(joined, images)) for name, f in kinds
    }

  sides = {'vmapped': functions(stacked), 'loop': functions(apart)}
  best, first, results = {}, {}, {}
  for side, calls in sides.items():
    for kind, call in calls.items():
      began = time.perf_counter()
      results[side, kind] = call()
      first[side, kind] = time.perf_counter() - began
      best[side, kind] = float('inf')
  for kind in ('forward', 'gradient'):
    np.testing.assert_allclose(
      results['vmapped', kind], results['loop', kind], rtol=1e-3, atol=1e-4
    )
  for _ in range(options.repeats):
    for side, kind in best:
      began = time.perf_counter()
      sides[side][kind]()
      best[side, kind] = min(best[side, kind], time.perf_counter() - began)

  print(
    f'{options.count} x {options.network}, batch {options.batch}, '
    f'{jax.devices()[0].device_kind}'
  )
  print(f'{"":18}{"first s":>9}{"s":>9}{"loop / this":>13}')
  for (side, kind), seconds in best.items():
    ratio = best['loop', kind] / seconds
    print(f'{side + " " + kind:18}{first[side, kind]:9.1f}{seconds:9.3f}{ratio:11.2f} x')


if __name__ == '__main__':
  main()
