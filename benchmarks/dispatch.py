"""What the host's part of a step costs: steps one by one, and several in one dispatch.

Usage: python benchmarks/dispatch.py [--method=mtard] [--student=resnet8] [--batch=128]
                                     [--precision=float32] [--together=8] [--steps=32]
                                     [--give_back]

`one by one` is what training does: the host hands out a step and, without waiting, the
next. `host` is how long it takes to hand one out; while that is shorter than a step, the
device never waits for it. (One CPU device: the host runs the step itself, unless
`--give_back`.)
`together` hands out `--together` steps as one program (a `lax.scan`), which is all that can
be won by it. `--give_back` shows what it costs on CPU that the C library returns a step's
memory to the system; see `jaxrkd.runtime.host_memory`.
"""

import argparse
import time

import jax
import steps

from jaxrkd.runtime import host_memory


def parse():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--method', default='mtard')
  parser.add_argument('--student', default='resnet8')
  parser.add_argument('--teachers', default='small', choices=tuple(steps.TEACHERS))
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--precision', default='float32')
  parser.add_argument('--together', type=int, default=8)
  parser.add_argument('--steps', type=int, default=32)
  parser.add_argument('--repeats', type=int, default=3)
  parser.add_argument('--give_back', action='store_true', help='freed memory, each step')
  return parser.parse_args()


def scanned(setup, count):
  def together(state, teacher_vars, data, order):
    def one(state, _):
      return setup.train_step(state, teacher_vars, data, order)

    return jax.lax.scan(one, state, length=count)

  return jax.jit(together, donate_argnums=0)


def main():
  options = parse()
  if not options.give_back:
    host_memory.keep_freed()  # as `launch/main.py` does
  config = steps.config_of(
    options.method,
    'cifar10',
    options.student,
    options.teachers,
    options.batch,
    options.precision,
  )
  made = steps.make_step(config)
  state, *given = made.arguments
  programs = {
    'one by one': (made.setup.step, 1),
    f'{options.together} together': (
      scanned(made.setup, options.together),
      options.together,
    ),
  }
  best, host = {}, float('inf')
  for repeat in range(options.repeats + 1):
    for name, (run, count) in programs.items():
      began, calls = time.perf_counter(), max(options.steps // count, 1)
      for number in range(calls):
        handed = time.perf_counter()
        state, scalars = run(state, *given)
        if repeat and count == 1 and number:
          host = min(host, time.perf_counter() - handed)
      jax.block_until_ready(scalars)
      spent = (time.perf_counter() - began) / (calls * count)
      if repeat:  # the first compiles
        best[name] = min(best.get(name, spent), spent)
  device = jax.devices()[0].device_kind
  print(f'{options.method}, {options.student}, batch {options.batch}, {device}')
  first = best['one by one']
  for name, spent in best.items():
    print(f'{name:14}{spent * 1e3:10.2f} ms/step{first / spent:7.2f}')
  print(f'{"host":14}{host * 1e3:10.2f} ms to hand out a step')


if __name__ == '__main__':
  main()
