"""Several networks of one architecture: one vmapped call against a loop over them.

Usage: python benchmarks/teachers.py [--network=resnet18] [--count=3] [--batch=32]

`forward` is what an outer loss asks of frozen teachers, on the same images; `attack` the
gradient with respect to one particle for each network, as in every step of AT-AKA's
search; `train` a forward and backward of all parameters, each network on its own particle.
Both sides give the same numbers. Memory is what the compiled program asks for.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import losses
from jaxrkd.experiment.config_files import ConfigDict
from jaxrkd.models.group import evaluate, is_mapped, make_group
from jaxrkd.models.named import NETWORK_KEYS, named_network
from jaxrkd.runtime import host_memory

SIDES = {'vmap': True, 'loop': False}


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--network', default='resnet18')
  parser.add_argument('--count', type=int, default=3)
  parser.add_argument('--batch', type=int, default=32)
  parser.add_argument('--repeats', type=int, default=5)
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does

  node = ConfigDict({'name': options.network, **NETWORK_KEYS})
  net = named_network(node, 10, (32, 32, 3))
  init = jax.jit(net.init)
  members = [init(jax.random.key(k)) for k in range(options.count)]
  rng = np.random.default_rng(0)
  shape = (options.count, options.batch, 32, 32, 3)
  particles = jnp.asarray(rng.uniform(size=shape), jnp.float32)
  labels = jnp.asarray(rng.integers(0, 10, (options.count, options.batch)))

  calls, memory, first, results = {}, {}, {}, {}
  for side, mapped in SIDES.items():
    group = make_group([net] * options.count, mapped)
    for kind, (function, given) in functions(group, members, particles, labels).items():
      began = time.perf_counter()
      compiled = jax.jit(function).lower(*given).compile()
      first[side, kind] = time.perf_counter() - began
      calls[side, kind] = lambda c=compiled, g=given: jax.block_until_ready(c(*g))
      results[side, kind] = calls[side, kind]()
      found = compiled.memory_analysis()
      memory[side, kind] = (
        found.temp_size_in_bytes + found.output_size_in_bytes if found else 0
      ) / 2**20
  for kind in ('forward', 'attack', 'train'):
    for a, b in zip(*(jax.tree.leaves(results[side, kind]) for side in SIDES)):
      np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3 * float(jnp.abs(b).max()))
  best = dict.fromkeys(calls, float('inf'))
  for _ in range(options.repeats):
    for case, call in calls.items():
      began = time.perf_counter()
      call()
      best[case] = min(best[case], time.perf_counter() - began)

  print(
    f'{options.count} x {options.network}, batch {options.batch}, '
    f'{jax.devices()[0].device_kind}; default here: {"vmap" if is_mapped() else "loop"}'
  )
  print(f'{"":14}{"compile s":>10}{"s":>9}{"MiB":>8}{"loop / this":>13}')
  for (side, kind), seconds in best.items():
    ratio = best['loop', kind] / seconds
    print(
      f'{side + " " + kind:14}{first[side, kind]:10.1f}{seconds:9.4f}'
      f'{memory[side, kind]:8.0f}{ratio:11.2f} x'
    )


def functions(group, members, particles, labels):
  """Kind -> (function, its arguments)."""
  joined = group.join(members)

  def forward(joined, images):
    return group.logits(joined, images, shared=True)

  def total(images, joined):
    logits = jnp.stack(group.each(evaluate, joined, images))
    return losses.cross_entropy(logits, labels).sum()

  def train(members, images):
    def loss(params):
      pairs = [(p, stats) for p, (_, stats) in zip(params, members)]
      logits, stats = group.train(pairs, images)
      return losses.cross_entropy(logits, labels).mean(), stats

    return jax.grad(loss, has_aux=True)([params for params, _ in members])

  return {
    'forward': (forward, (joined, particles[0])),
    'attack': (jax.grad(total), (particles, joined)),
    'train': (train, (members, particles)),
  }


if __name__ == '__main__':
  main()
