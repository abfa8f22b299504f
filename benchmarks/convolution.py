"""Why convolutions have a gradient of their own on CPU: attack steps in a loop, both ways.

Usage: python benchmarks/convolution.py [--network=resnet18] [--batch=32] [--steps=3]

Times `--steps` sign steps on the input of a network in evaluation mode, rolled in a
`fori_loop` and written out, with XLA's convolutions and with jaxrkd's.
"""

import argparse
import time
from unittest import mock

import jax
import jax.numpy as jnp

from jaxrkd.models import NETWORKS, conv, from_nnx
from jaxrkd.models.layers import Layers
from jaxrkd.runtime import host_memory


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--network', default='resnet18')
  parser.add_argument('--batch', type=int, default=32)
  parser.add_argument('--steps', type=int, default=3)
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does
  net = from_nnx(lambda rngs: NETWORKS[options.network](Layers(rngs), 10, 3))
  variables = jax.jit(net.init)(jax.random.key(0))
  images = jax.random.uniform(jax.random.key(1), (options.batch, 32, 32, 3))
  slope = jax.grad(lambda x, v: jax.nn.logsumexp(net.apply(*v, x), axis=-1).sum())

  def step(x, v):
    return x + 0.01 * jnp.sign(slope(x, v))

  def rolled(x, v):
    return jax.lax.fori_loop(0, options.steps, lambda _, x: step(x, v), x)

  def unrolled(x, v):
    for _ in range(options.steps):
      x = step(x, v)
    return x

  cases, best = {}, {}
  for own in (True, False):
    for shape in (rolled, unrolled):
      name = f'{"jaxrkd" if own else "XLA"} {shape.__name__}'
      with mock.patch.object(conv, 'on_cpu', lambda m=own: m):
        began = time.perf_counter()
        program = (
          jax.jit(lambda x, v, f=shape: f(x, v)).lower(images, variables).compile()
        )
      cases[name] = (program, time.perf_counter() - began)
      best[name] = float('inf')
  for _ in range(4):
    for name, (program, _) in cases.items():
      began = time.perf_counter()
      jax.block_until_ready(program(images, variables))
      best[name] = min(best[name], time.perf_counter() - began)
  print(
    f'{options.steps} input-gradient steps of {options.network}, batch {options.batch}'
  )
  print(f'{"":18}{"compile s":>10}{"run s":>8}')
  for name, (_, compiling) in cases.items():
    print(f'{name:18}{compiling:10.1f}{best[name]:8.2f}')


if __name__ == '__main__':
  main()
