"""One step on 1, 2, 4 and 8 devices: speed, and what the devices tell each other.

Usage: python benchmarks/scaling.py [--method=mtard] [--batch=64] [--student=resnet8]
                                    [--fsdp=1,2] [--devices=1,2,4,8]

On a CPU the devices are virtual and share its cores, so that only the communication is worth
reading there: how many collectives the compiled step has, of which kind, how many bytes they
move, and how many of them lie in the loop of the attack.
"""

import argparse
import os
import time

os.environ.setdefault('JAX_NUM_CPU_DEVICES', '8')

import jax
import steps
from hlo import collectives

from jaxrkd.runtime import host_memory, sharding


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  words = lambda text: [int(word) for word in text.split(',')]
  parser.add_argument('--method', default='mtard')
  parser.add_argument('--student', default='resnet8')
  parser.add_argument('--batch', type=int, default=64)
  parser.add_argument('--devices', type=words, default=[1, 2, 4, 8])
  parser.add_argument('--fsdp', type=words, default=[1, 2])
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does
  print(f'{options.method} {options.student}, batch {options.batch}, {jax.devices()[0]}')
  print(f'{"devices":>8}{"fsdp":>6}{"ms/step":>9}  collectives (MiB), in the attack loop')
  for count in options.devices:
    for fsdp in options.fsdp:
      if count % fsdp or (fsdp > 1 and fsdp > count):
        continue
      config = steps.config_of(
        *(options.method, 'cifar10', options.student, 'small', options.batch, 'float32'),
        [f'mesh.fsdp={fsdp}'],
      )
      mesh = sharding.data_mesh(jax.devices()[:count], fsdp)
      made = steps.make_step(config, mesh=mesh)
      program = made.setup.step.lower(*made.arguments).compile()
      found, sizes, inside = collectives(program.as_text())
      made.many(1)
      began = time.perf_counter()
      made.many(3)
      spent = (time.perf_counter() - began) / 3
      told = ', '.join(
        f'{number} {kind} ({sizes[kind] / 2**20:.2f})' for kind, number in found.items()
      )
      print(
        f'{count:8}{fsdp:6}{1e3 * spent:9.0f}  {told or "none"}, {inside}', flush=True
      )


if __name__ == '__main__':
  main()
