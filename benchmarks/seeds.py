"""Several seeds of a small student: one program for all, or one after the other.

Usage: python benchmarks/seeds.py [--config=configs/mtard_digits.py] [--seeds=3] [--steps=20]

Images per second of all seeds together: `vmap` maps the step over them, `loop` writes them one
after the other into one program, `apart` runs the program of one seed once for each.
"""

import argparse
import time

import jax
import steps

from jaxrkd import experiment
from jaxrkd.experiment import config_files as configs
from jaxrkd.runtime import host_memory
from jaxrkd.train.loop import Program


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', default=str(steps.CONFIGS / 'mtard_digits.py'))
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--steps', type=int, default=20)
  parser.add_argument('--repeats', type=int, default=3)
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does

  def made(stacking):
    overrides = [f'stacking={stacking}']
    config = configs.load_spec(options.config)
    found = []
    for seed in range(options.seeds):
      config.seed = seed
      found.append(steps.make_step(experiment.resolve(config, overrides)))
    return found

  sides, first = {}, {}
  for stacking in ('vmap', 'loop'):
    own = made(stacking)
    program = Program([step.setup for step in own])
    held = [program.join([step.arguments[0] for step in own])]
    given = own[0].arguments[1], own[0].arguments[2], program.order(0)

    def together(count, program=program, held=held, given=given):
      for _ in range(count):
        held[0], scalars = program.step(held[0], *given)
      jax.block_until_ready(scalars)

    sides[stacking] = together
  apart = made('loop')
  sides['apart'] = lambda count: [step.many(count) for step in apart]
  best = dict.fromkeys(sides, float('inf'))
  for repeat in range(options.repeats + 1):
    for name, run in sides.items():
      began = time.perf_counter()
      run(options.steps if repeat else 1)
      spent = time.perf_counter() - began
      if repeat:
        best[name] = min(best[name], spent)
      else:
        first[name] = spent
  images = options.steps * options.seeds * apart[0].setup.batch_size
  print(f'{options.config}, {options.seeds} seeds, {jax.devices()[0].device_kind}')
  print(f'{"":8}{"first s":>9}{"images/s":>10}{"ratio":>7}')
  for name, spent in best.items():
    print(f'{name:8}{first[name]:9.1f}{images / spent:10.0f}{best["apart"] / spent:7.2f}')


if __name__ == '__main__':
  main()
