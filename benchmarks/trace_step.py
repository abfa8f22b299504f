"""Where a step's time goes on the device, and whether the device ever waits for the host.

Usage: python benchmarks/trace_step.py [--method=mtard] [--student=resnet18] [--batch=128]
         [--precision=bfloat16] [--data=cifar10] [--teachers=small|paper] [--steps=5]
         [--trace=FOLDER]

Runs some steps under jax's profiler, one handed out after the other as in training, and adds
up what the profile says: time with an operation running, gaps by length, the operations that
take longest. A gap of microseconds is one between two operations of the same program; one
that waits for the host is longer than `LONG`, and there is one such gap per step at most,
between programs. The profiler itself delays what it records, so the same steps are timed
without it, too: what such a step takes beyond its operations is all that gaps can be. On CPU
products and convolutions run partly on threads that the profile does not time, so gaps say
little there. `--trace` keeps the profile for TensorBoard or Perfetto.
"""

import collections
import contextlib
import pathlib
import re
import tempfile
import time
from collections.abc import Iterable
from typing import NamedTuple

import jax
import steps

from jaxrkd.runtime import host_memory

# Nanoseconds from which a gap is no launch of the next operation.
LONG = 50_000
# Operations that only hold others.
HOLDERS = re.compile(r'^(while|call|conditional|body|cond)\b')


class Operation(NamedTuple):
  """One run of an operation on the device; times in ns."""

  name: str
  start: float
  end: float


def operations(folder: pathlib.Path) -> list[Operation]:
  """What ran on the first device, in order of time."""
  files = sorted(folder.rglob('*.xplane.pb'))
  planes = {p.name: p for p in jax.profiler.ProfileData.from_file(str(files[-1])).planes}
  devices = (name for name in sorted(planes) if re.match('/device:(GPU|TPU)', name))
  device = next(devices, None)
  found = []
  for line in planes[device or '/host:CPU'].lines:
    # A GPU's kernels lie in its streams, a TPU's in one line; other lines repeat them.
    if device and not re.match(r'Stream|XLA Ops', line.name):
      continue
    for event in line.events:
      if not device and 'hlo_op' not in dict(event.stats):
        continue  # the host's own work
      if not HOLDERS.match(event.name):
        start = event.start_ns
        found.append(Operation(event.name, start, start + event.duration_ns))
  return sorted(found, key=lambda operation: operation.start)


def gaps(found: Iterable[Operation]) -> tuple[float, list[float]]:
  """Time with anything running, and the lengths of the gaps between; ns."""
  busy, lengths, until = 0.0, [], None
  for _, start, end in found:
    if until is not None and start > until:
      lengths.append(start - until)
    begin = start if until is None else max(start, until)
    busy += max(end - begin, 0)
    until = end if until is None else max(until, end)
  return busy, lengths


def by_kind(found: Iterable[Operation]) -> list[tuple[str, float, int]]:
  """(name without its number, total ns, count), longest first."""
  total, count = collections.Counter(), collections.Counter()
  for name, start, end in found:
    kind = re.sub(r'[._]\d+', '', name)[:60]
    total[kind] += end - start
    count[kind] += 1
  return [(kind, spent, count[kind]) for kind, spent in total.most_common()]


def parse():
  parser = steps.arguments(__doc__, 'small')
  parser.add_argument('--steps', type=int, default=5)
  parser.add_argument('--top', type=int, default=12, help='operations to print')
  parser.add_argument('--trace', default='', help='folder that keeps the profile')
  return parser.parse_args()


def main():
  options = parse()
  host_memory.keep_freed()  # as `launch/main.py` does
  config = steps.experiment_of(options)
  made = steps.make_step(config)
  made.many(2)
  plain = float('inf')
  for _ in range(3):
    began = time.perf_counter()
    made.many(options.steps)
    plain = min(plain, (time.perf_counter() - began) / options.steps)
  with contextlib.ExitStack() as opened:
    folder = options.trace or opened.enter_context(tempfile.TemporaryDirectory())
    with jax.profiler.trace(folder):
      made.many(options.steps)
    found = operations(pathlib.Path(folder))
  busy, lengths = gaps(found)
  ms = lambda ns: ns / options.steps / 1e6
  long = [length for length in lengths if length > LONG]
  what = (
    f'{options.method}, {options.student}, batch {options.batch}, {options.precision}'
  )
  print(f'{what}, {jax.devices()[0].device_kind}; per step:')
  print(f'{len(found) / options.steps:.0f} operations, running {ms(busy):.2f} ms')
  print(
    f'{len(lengths) / options.steps:.0f} gaps, {ms(sum(lengths)):.2f} ms; of these '
    f'{len(long) / options.steps:.1f} above {LONG // 1000} us, {ms(sum(long)):.2f} ms, '
    f'the longest {max(lengths, default=0) / 1e6:.3f} ms'
  )
  print(f'without the profiler a step takes {1e3 * plain:.2f} ms')
  for kind, spent, count in by_kind(found)[: options.top]:
    print(f'{ms(spent):10.2f} ms{count / options.steps:8.0f}  {kind}')


if __name__ == '__main__':
  main()
