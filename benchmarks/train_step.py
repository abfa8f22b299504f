"""Images per second of training steps: jaxrkd against PyTorch, in one run.

Usage: python benchmarks/train_step.py [--methods=mtard,rslad,mmard] [--students=resnet18]
         [--precisions=float32,bfloat16] [--batches=128] [--data=cifar10]
         [--teachers=small|paper] [--peers=eager,channels_last,compile,graphs]
         [--repeats=3] [--steps=1] [--out=FILE.json] [--set=KEY=VALUE,...]

Both sides do the same work on random images: the method's attack steps, all teachers'
answers, the training passes, one SGD update. The teachers of `small` are
ResNet-56 and WRN-16-4, those of `paper` the real ones, untrained. Our steps are those that a
run does (`jaxrkd.train.setup`): they choose and augment the batch, too. The peers are in
`torch_steps.py`: `eager` is the structure of the papers' programs (channels first),
`channels_last` the memory layout that convolutions prefer, `compile` adds torch.compile to
that, `graphs` CUDA graphs of what it compiled; with bfloat16 each runs under autocast. A side
that fails, for want of memory for example, says so and is left out. Measurements alternate
between the sides; the fastest of each is reported, and `ratio` is a peer's time over ours.
GFLOP per image are counted from the trace (`jaxrkd.train.flops`); the share is of the matrix
product that this device was measured to do.
"""

import argparse
import importlib.util
import itertools
import json
import pathlib
import time

import jax
import steps

from jaxrkd.programs.predict import matrix_rate
from jaxrkd.runtime import host_memory


def parse():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  words = lambda text: [word for word in text.split(',') if word]
  parser.add_argument('--methods', type=words, default=['mtard'])
  parser.add_argument('--students', type=words, default=['resnet18'])
  parser.add_argument('--precisions', type=words, default=['float32'])
  parser.add_argument('--batches', type=words, default=['32'])
  parser.add_argument('--data', default='cifar10', choices=tuple(steps.CLASSES))
  parser.add_argument('--teachers', default='small', choices=tuple(steps.TEACHERS))
  parser.add_argument('--peers', type=words, default=['eager', 'channels_last'])
  parser.add_argument('--repeats', type=int, default=3)
  parser.add_argument('--steps', type=int, default=1, help='in a row, waited for once')
  parser.add_argument('--set', type=words, default=[], help='config overrides of ours')
  parser.add_argument('--out', default='', help='file for the rows as JSON')
  return parser.parse_args()


def sides(options, method, student, precision, batch):
  """name -> what does steps, and the FLOP of one."""
  config = steps.config_of(
    *(method, options.data, student, options.teachers, batch, precision, options.set)
  )
  made = steps.make_step(config)
  found = {'jaxrkd': made}
  if options.peers:
    import torch_methods
    import torch_steps

    if method not in torch_methods.METHODS:
      return found, made.flops
    kinds = {entry.kind for entry in config.teachers.values()}
    named = steps.teacher_networks(options.teachers, options.data)
    teachers = {kind: named[kind] for kind in sorted(kinds)}
    given = method, student, teachers, batch, steps.CLASSES[options.data], precision
    for peer in options.peers:
      try:
        found[f'torch {peer}'] = torch_steps.Step(*given, peer)
      except RuntimeError as error:
        say_left_out(f'torch {peer}', error)
  return found, made.flops


def say_left_out(name, error):
  print(f'{name} fails: {str(error)[:200]!r}', flush=True)


def measure(found, repeats, count):
  """Seconds of the first step and of one of the fastest `count` in a row, by side."""
  first, best = {}, dict.fromkeys(found, float('inf'))
  for name, side in list(found.items()):
    began = time.perf_counter()
    try:
      side.many(1)
      first[name] = time.perf_counter() - began
      side.many(1)
    except RuntimeError as error:  # a peer's: ours is what is measured here
      if name == 'jaxrkd':
        raise
      say_left_out(name, error)
      del found[name], best[name]
  for _ in range(repeats):
    for name, side in found.items():
      began = time.perf_counter()
      side.many(count)
      best[name] = min(best[name], (time.perf_counter() - began) / count)
  return first, best


def main():
  options = parse()
  if options.peers and not importlib.util.find_spec('torch'):
    raise SystemExit('the peers need PyTorch: pip install .[torch], or --peers= for none')
  host_memory.keep_freed()  # as `launch/main.py` does
  device = jax.devices()[0].device_kind
  peaks = {name: matrix_rate(name) for name in options.precisions}
  shown = ', '.join(f'{rate / 1e12:.3g} TFLOP/s {name}' for name, rate in peaks.items())
  print(f'{jax.device_count()} x {device}; matrix product {shown}', flush=True)
  print(
    f'{"step":40}{"side":22}{"first s":>9}{"ms/step":>10}{"images/s":>10}{"ratio":>7}'
    f'{"GFLOP/img":>11}{"share":>7}'
  )
  rows = []
  for method, student, precision, batch in itertools.product(
    options.methods, options.students, options.precisions, map(int, options.batches)
  ):
    found, flops = sides(options, method, student, precision, batch)
    first, best = measure(found, options.repeats, options.steps)
    title = f'{method} {student} {precision} {batch}'
    for name, seconds in best.items():
      ratio, share = seconds / best['jaxrkd'], flops / seconds / peaks[precision]
      row = dict(
        step=title,
        side=name,
        first=first[name],
        seconds=seconds,
        ratio=ratio,
        share=share,
      )
      rows.append({**row, 'flops': flops, 'device': device, 'teachers': options.teachers})
      print(
        f'{title:40}{name:22}{first[name]:9.1f}{1e3 * seconds:10.1f}'
        f'{batch / seconds:10.0f}{ratio:7.2f}{flops / batch / 1e9:11.1f}{share:7.1%}',
        flush=True,
      )
    if options.out:
      pathlib.Path(options.out).write_text(json.dumps(rows, indent=1), encoding='utf-8')
    del found
    jax.clear_caches()


if __name__ == '__main__':
  main()
