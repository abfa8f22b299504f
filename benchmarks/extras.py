"""Time of a training step of the newer methods and of the extras, relative to another one.

Usage: python benchmarks/extras.py [--student=resnet8] [--batch=64] [--repeats=5] [--steps=2]
         [--only=awp] [--out=FILE.json]

Each line is a pair: a step, and the one it is compared with (the same method without the
extra, or the older method that it grew from). The two alternate, and the fastest of each
counts. `arithmetic` is the ratio of their FLOP, as the trace has them.
"""

import argparse
import json
import pathlib
import time
from collections.abc import Sequence

import jax
import steps

Pair = tuple[str, tuple[str, Sequence[str]], tuple[str, Sequence[str]]]
AWP, IGDM, SWA = ['awp.gamma=0.005'], ['igdm.alpha=1'], ['swa.start=1']
PAIRS: list[Pair] = [
  *((f'{name} + AWP', (name, AWP), (name, [])) for name in ('sat', 'trades', 'rslad')),
  *((f'{name} + IGDM', (name, IGDM), (name, [])) for name in ('rslad', 'adaad')),
  *(
    (f'sat + {name}', ('sat', [f'augment.preset={name}']), ('sat', []))
    for name in ('idbh_strong', 'autoaugment')
  ),
  ('sat + SWA', ('sat', SWA), ('sat', [])),
  ('sat + EMA', ('sat', ['ema.decay=0.995']), ('sat', [])),
  ('rslad + AWP + IGDM + SWA', ('rslad', [*AWP, *IGDM, *SWA]), ('rslad', [])),
  *(
    (f'{name} / {base}', (name, []), (base, []))
    for name, base in (
      ('saad', 'adaad'),
      ('b_mtard', 'mtard'),
      ('ada_iad', 'iad_1'),
      ('dgad', 'adaad'),
      ('absld', 'rslad'),
      ('fair_rslad', 'rslad'),
      ('adr', 'sat'),
      ('peeraid', 'rslad'),
      ('lbgat', 'trades'),
      ('hat', 'trades'),
      ('ikl', 'trades'),
    )
  ),
]


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--student', default='resnet8')
  parser.add_argument('--batch', type=int, default=64)
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--steps', type=int, default=2, help='in a row, waited for once')
  parser.add_argument('--only', default='', help='pairs with this text in their name')
  parser.add_argument('--out', default='', help='file for the rows as JSON')
  options = parser.parse_args()
  print(f'{jax.device_count()} x {jax.devices()[0].device_kind}, {options.student}')
  print(f'{"step":26} {"ms":>8} {"time":>6} {"arithmetic":>10}')
  rows = []
  for name, one, other in PAIRS:
    if options.only not in name:
      continue
    made = [_step(options, *side) for side in (one, other)]
    best = [float('inf')] * 2
    for step in made:
      step.many(1)
    for _ in range(options.repeats):
      for k, step in enumerate(made):
        began = time.perf_counter()
        step.many(options.steps)
        best[k] = min(best[k], (time.perf_counter() - began) / options.steps)
    row = {
      'step': name,
      'milliseconds': 1e3 * best[0],
      'time': best[0] / best[1],
      'arithmetic': made[0].flops / made[1].flops,
    }
    rows.append(row)
    print(
      f'{name:26} {row["milliseconds"]:8.1f} {row["time"]:6.2f} {row["arithmetic"]:10.2f}',
      flush=True,
    )
  if options.out:
    pathlib.Path(options.out).write_text(json.dumps(rows, indent=1), encoding='utf-8')


def _step(options: argparse.Namespace, method: str, changes: Sequence[str]) -> steps.Step:
  config = steps.config_of(
    method, 'cifar10', options.student, 'small', options.batch, 'float32', changes
  )
  return steps.make_step(config)


if __name__ == '__main__':
  main()
