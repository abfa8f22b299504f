"""Reads files of weights whose opcodes and bytes were changed by chance.

Usage: python benchmarks/fuzz_weights.py [--mutants=20000] [--workers=2] [--seed=0]

Every mutant must be refused in one sentence, or be read as the network that was asked for, in
numbers that are in the file. Mutants are read by processes of their own, so that a crash or a
hang is one mutant's, and is counted. Ends with status 1 where there is one, or another result.
Needs torch, which writes the files.
"""

import argparse
import collections
import functools
import io
import json
import pathlib
import pickle
import pickletools
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile

import jax
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop import read_network
from jaxrkd.interop.state_dict import to_state_dict
from jaxrkd.models.named import named_network, network_options

SHAPE, CLASSES = (8, 8, 1), 3
SMALL = {'name': 'convnet', 'widths': (2, 4), 'strides': (1, 2)}
HAIKU = {'name': 'dm_wrn', 'depth': 10, 'width': 1}
# Seconds for a mutant; a good one takes milliseconds.
PATIENCE = 30
# Opcodes that nothing needs before them, and those that change what is there.
PUSHES = (
  b'N',
  b']',
  b'}',
  b')',
  b'(',
  b'K\x00',
  b'K\x07',
  b'J\xff\xff\xff\xff',
  b'2',
  b'0',
)
CHANGES = (b'R', b'b', b'\x81', b'\x92', b'e', b'a', b'u', b's', b't', b'\x85', b'\x86')
CHANGES += (
  b'\x87',
  b'Q',
  b'o',
  b'\x93',
  b'\x94',
  b'h\x00',
  b'h\x01',
  b'q\x01',
  b'd',
  b'l',
)
STRANGE = (
  b'r\xff\xff\xff\x7f',
  b'\x8e' + b'\xff' * 7 + b'\x7f',
  b'\x82\x01',
  b'\x97',
  b'1',
)
STRANGE += (
  b'cos\nsystem\n',
  b'cbuiltins\ndict\n',
  b'ctorch._utils\n_rebuild_tensor_v2\n',
)
STRANGE += (b'ccollections\nOrderedDict\n', b'cnumpy\nndarray\n', b'M\xff\xff', b'\x91')


def variables(node, classes, shape):
  """Parameters and statistics of a network, all of them multiples of 1/256."""
  net = named_network(network_options(node), classes, shape)
  random_numbers = np.random.default_rng(0)
  return jax.tree.map(
    lambda leaf: (random_numbers.integers(1, 257, leaf.shape) / 256).astype(np.float32),
    jax.eval_shape(net.init, jax.random.key(0)),
  )


@functools.cache
def originals():
  """Good files of every kind: name -> (bytes, options with which they are read)."""
  import torch

  params, stats = variables(SMALL, CLASSES, SHAPE)
  state = to_state_dict(params, stats)
  tensors = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
  small = dict(network=SMALL, classes=CLASSES, image_shape=SHAPE)
  momentum = {0: {'momentum_buffer': torch.ones(2, 1, 3, 3)}}
  training = {
    'state_dict': collections.OrderedDict((f'module.{k}', t) for k, t in tensors.items()),
    'optimizer': {'state': momentum, 'param_groups': [{'lr': 0.1, 'params': [0, 1]}]},
    'scheduler': {'milestones': collections.Counter({2: 1, 4: 1}), 'last_epoch': 3},
    'args': argparse.Namespace(folder=pathlib.PureWindowsPath('a'), lr=0.1),
    'best': np.float64(0.5),
    'history': np.arange(3.0),
  }
  averaged = {'n_averaged': torch.tensor(3)}
  averaged |= {f'module._orig_mod.{name}': tensor for name, tensor in tensors.items()}
  roles = {f'student.{name}': tensor for name, tensor in tensors.items()}
  roles |= {f'teacher.{name}': tensor.flatten() for name, tensor in tensors.items()}
  found = {}
  for name, tree in dict(training=training, averaged=averaged, roles=roles).items():
    for new in (True, False):
      content = io.BytesIO()
      torch.save(tree, content, _use_new_zipfile_serialization=new)
      found[f'{name}, {"zip" if new else "legacy"}'] = content.getvalue(), small
  found['safetensors'] = _safetensors(state), small
  found['npz'] = _npz(params, stats), small
  found['npy'] = _npy(), dict(network=HAIKU)
  return found


def _card():
  evaluation = {'attacks': {'fgsm': {'name': 'fgsm'}}, 'threat': {'eps': 0.1}}
  return {
    'network': dict(SMALL),
    'classes': CLASSES,
    'image_shape': list(SHAPE),
    'config': {'data': {'name': 'synthetic'}, 'evaluation': evaluation},
    'measured': {'attack': {'column': 'fgsm'}, 'clean': 0.5, 'robust': 0.25},
  }


def _safetensors(state):
  from safetensors.numpy import save

  return save(state, {'jaxrkd': json.dumps(_card())})


def _npz(params, stats):
  arrays = {'network': np.array(json.dumps(_card()))}
  for root, tree in (('params', params), ('stats', stats)):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
      arrays['/'.join([root, *(str(part.key) for part in path)])] = leaf
  content = io.BytesIO()
  np.savez_compressed(content, **arrays)
  return content.getvalue()


def _npy():
  params, stats = variables(HAIKU, 10, (32, 32, 3))
  leaves, moving = collections.defaultdict(dict), collections.defaultdict(dict)
  words = {'kernel': 'w', 'bias': 'b', 'scale': 'scale'}
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    *module, last = (str(part.key) for part in path)
    norm = 'batchnorm' in module[-1]
    leaves[_haiku(module)]['offset' if norm and last == 'bias' else words[last]] = leaf
  for path, leaf in jax.tree_util.tree_leaves_with_path(stats):
    *module, last = (str(part.key) for part in path)
    moving[f'{_haiku(module)}/~/{last}_ema'] = {'average': leaf}
  pair = np.empty(2, object)
  pair[0], pair[1] = dict(leaves), dict(moving)
  content = io.BytesIO()
  np.save(content, pair, allow_pickle=True)
  return content.getvalue()


def _haiku(module):
  if len(module) == 5:  # layer.G.block.B.NAME
    module = [f'resnet_lay_{module[1]}_block_{module[3]}', module[4]]
  return 'wide_res_net/~/' + '/~/'.join(module)


def mutant(number, seed=0):
  """The name, the bytes and the options of one changed file; the same ones every time."""
  chance = random.Random(f'{seed} {number}')
  kinds = list(originals())
  name = kinds[number % len(kinds)]
  content, options = originals()[name]
  pickled = not name.startswith(('safetensors', 'npz'))
  change = chance.choice((_opcodes, _opcodes, _bytes) if pickled else (_bytes,))
  for _ in range(chance.choice((1, 1, 1, 2, 4))):
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # of escapes in texts
      content = _changed(chance, name, content, change)
  return name, content, options


def _changed(chance, name, content, change):
  if name.endswith('zip') and chance.random() < 0.9:
    return _in_zip(content, lambda part: change(chance, part))
  if change is _opcodes:
    return _in_pickle(chance, name, content)
  return change(chance, content)


def _in_zip(content, change):
  """The same archive with another pickle, whose checksum is right."""
  made = io.BytesIO()
  try:
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, 'w') as new:
      for entry in old.infolist():
        part = old.read(entry)
        new.writestr(
          entry.filename, change(part) if entry.filename.endswith('data.pkl') else part
        )
  except Exception:  # the change before may have left anything
    return content
  return made.getvalue()


def _in_pickle(chance, name, content):
  """Changes opcodes of the pickle that holds the weights."""
  stop = 0
  start = content.find(b'\x80', 10) if name == 'npy' else 0
  pieces = []
  for _ in range(1 if name == 'npy' else 5):
    try:
      for opcode, _, place in pickletools.genops(content[start:]):
        stop = start + place + 1 if opcode.name == 'STOP' else stop
    except ValueError:  # of the change before
      return _bytes(chance, content)
    pieces.append((start, stop))
    start = stop
  first, last = (
    pieces[0] if name == 'npy' else chance.choice((pieces[3],) * 3 + (pieces[4],))
  )
  return content[:first] + _opcodes(chance, content[first:last]) + content[last:]


def _opcodes(chance, content):
  try:
    places = [place for _, _, place in pickletools.genops(content)]
  except ValueError:
    return _bytes(chance, content)
  parts = [content[a:b] for a, b in zip(places, [*places[1:], len(content)])]
  where = chance.randrange(len(parts))
  what = chance.randrange(10)
  if what == 0:
    del parts[where]
  elif what == 1:
    parts.insert(where, parts[where])
  elif what == 2:
    other = chance.randrange(len(parts))
    parts[where], parts[other] = parts[other], parts[where]
  elif what == 3:
    parts[where] = chance.choice(parts)
  elif what == 4:
    parts.insert(where, chance.choice((*PUSHES, *CHANGES, *STRANGE)))
  elif what == 5:
    parts[where] = chance.choice((*PUSHES, *CHANGES, *STRANGE))
  elif what == 6:
    # A value that is changed after it was made.
    state = chance.choice((b'}', b'N)\x86', b'}}\x86', b'}\x8c\x06offsetK\x7fs'))
    value = chance.choice((b'', b'2', b'h' + bytes([chance.randrange(256)])))
    parts.insert(where, value + state + b'b' + (b'0' if value else b''))
  else:
    # Offsets, sizes and strides are numbers.
    numbers = [k for k, part in enumerate(parts) if part[:1] in b'KMJ\x8a'] or [where]
    bits = chance.choice((2, 4, 8, 16, 30, 31, 62, 64, 200))
    value = chance.choice((1, 1, 1, -1)) * chance.getrandbits(bits)
    for k in numbers[chance.randrange(len(numbers)) :][: chance.choice((1, 1, 2, 4))]:
      parts[k] = pickle.dumps(value, 2)[2:-1]
  return b''.join(parts)


def _bytes(chance, content):
  data = bytearray(content)
  where = chance.randrange(len(data)) if data else 0
  what = chance.randrange(6)
  if what == 0:
    data[where : where + 1] = bytes([chance.randrange(256)])
  elif what == 1 and data:
    data[where] ^= 1 << chance.randrange(8)
  elif what == 2:
    del data[where : where + chance.choice((1, 4, 64))]
  elif what == 3:
    data[where:where] = chance.randbytes(chance.choice((1, 4, 16)))
  elif what == 4:
    data[where : where + 4] = chance.choice(
      (b'\xff' * 4, b'\x00' * 4, b'\xff\xff\xff\x7f')
    )
  else:
    del data[where:]
  return bytes(data)


def verdict(path, content, options):
  """'refused', 'read', or what is wrong with how a mutant was read."""
  path.write_bytes(content)
  try:
    found = read_network(path, check=False, **options)
  except InputError as error:
    text = str(error)
    plain = text.isprintable() and len(text) < 2000
    return 'refused' if plain else 'wrong: no clear sentence'
  except Exception as error:
    return f'wrong: {type(error).__name__}: {str(error)[:100]!r}'
  leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(found.variables)]
  numbers = np.concatenate(leaves)
  strange = numbers[~np.isin(numbers, np.arange(1, 257) / 256)]
  known = all(number.tobytes() in content for number in strange)
  wanted = options['network']
  if any(found.node[key] != value for key, value in wanted.items()):
    return 'wrong: another network'
  return 'read' if known else 'wrong: numbers that are not in the file'


def work(first, last, step, seed):
  """Reads mutants and prints a line before and after each."""
  import resource

  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'weights'
    for number in range(first, last, step):
      name, content, options = mutant(number, seed)
      print(json.dumps([number, name]), flush=True)
      found = verdict(path, content, options)
      peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
      print(json.dumps([number, name, found, peak]), flush=True)


class Worker(threading.Thread):
  """Has its share of the mutants read, by a new process after each that ends badly."""

  def __init__(self, first, options):
    super().__init__(daemon=True)
    self.first, self.options = first, options
    self.found, self.peak = [], 0

  def run(self):
    number = self.first
    while number < self.options.mutants:
      number = self._one_process(number)

  def _one_process(self, first):
    given = [
      f'--work={first}',
      *(f'--{k}={v}' for k, v in vars(self.options).items() if v),
    ]
    command = [sys.executable, __file__, *given]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = queue.Queue()

    def read():
      for line in process.stdout:
        lines.put(line)
      lines.put('')

    threading.Thread(target=read, daemon=True).start()
    number, name, ended = first, '', False
    while True:
      try:
        # The first line comes after imports and the making of the files.
        line = lines.get(timeout=PATIENCE if name else 10 * PATIENCE)
      except queue.Empty:
        process.kill()
        process.wait()
        self.found.append((number, name, f'hung: over {PATIENCE} s'))
        return number + self.options.workers
      if not line:
        break
      number, name, *rest = json.loads(line)
      ended = bool(rest)
      if rest:
        self.found.append((number, name, rest[0]))
        self.peak = max(self.peak, rest[1])
    status = process.wait()
    if status or not ended:
      self.found.append((number, name, f'crashed: status {status}'))
    return number + self.options.workers


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--mutants', type=int, default=20000)
  parser.add_argument('--workers', type=int, default=2)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--work', type=int, default=None, help=argparse.SUPPRESS)
  options = parser.parse_args()
  first = options.work
  del options.work
  if first is not None:
    work(first, options.mutants, options.workers, options.seed)
    return 0
  began = time.perf_counter()
  workers = [Worker(number, options) for number in range(options.workers)]
  for worker in workers:
    worker.start()
  for worker in workers:
    worker.join()
  found = [row for worker in workers for row in worker.found]
  kinds = collections.defaultdict(collections.Counter)
  for _, name, what in found:
    kinds[name][what.partition(':')[0]] += 1
  columns = ('read', 'refused', 'wrong', 'crashed', 'hung')
  print(f'{"file":18} {"mutants":>8} ' + ' '.join(f'{column:>8}' for column in columns))
  kinds['all'] = sum(kinds.values(), collections.Counter())
  for name, row in kinds.items():
    counts = ' '.join(f'{row[column]:8}' for column in columns)
    print(f'{name:18} {row.total():8} {counts}')
  bad = sorted(row for row in found if row[2] not in ('read', 'refused'))
  for number, name, what in bad[:20]:
    print(f'mutant {number} of {name}: {what}')
  peak = max(worker.peak for worker in workers)
  print(f'{time.perf_counter() - began:.0f} s; at most {peak} MiB of memory in a process')
  return int(bool(bad) or len(found) != options.mutants)


if __name__ == '__main__':
  sys.exit(main())
