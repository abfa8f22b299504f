"""AutoAttack's parts against torchattacks, or against the reference's stored verdicts.

Usage: python benchmarks/autoattack.py [--images=64] [--batch=128] [--parts=apgd_ce,square]
       python benchmarks/autoattack.py --golden [--norm=L2] [--parts=apgd_ce]

Both attack the same adversarially trained ResNet-8 (tests/data) in Linf at 8/255, float32,
with AutoAttack's constants: 100 iterations, 9 targets, 5000 queries. The first form needs
`pip install torch torchattacks` and prints seconds, compilation included and not, and the
ratio; the second needs neither and prints on how many of the 400 images (80 in
L2 at 0.5 and L1 at 12) verdicts differ from the reference.
"""

import argparse
import pathlib
import sys
import time

import jax
import numpy as np

from jaxrkd import attacks
from jaxrkd.attacks import L1, L2, Linf
from jaxrkd.evaluate import robustness
from jaxrkd.evaluate.robustness import Loaded
from jaxrkd.evaluate.task import Images, Subject
from jaxrkd.runtime import host_memory, sharding

ROOT = pathlib.Path(__file__).parent.parent
DATA = ROOT / 'tests' / 'data' / 'golden_autoattack.npz'
THREATS = {'Linf': Linf(8 / 255), 'L2': L2(0.5), 'L1': L1(12.0)}
PARTS = ('apgd_ce', 'apgd_t', 'fab_t', 'square', 'standard')


def ours(golden, rows, batch, threat):
  """part -> (seconds with compilation, without, robust [rows])."""
  sys.path.insert(0, str(ROOT / 'tests'))
  import golden_test  # the network and its conversion from PyTorch's layout

  variables = golden_test.variables(golden, 'net')
  variables = jax.tree.map(lambda leaf: leaf.astype('float32'), variables)
  subject = Subject(golden_test.network(), variables)
  labels = golden['labels'][rows].astype(np.int32)
  pixels = golden['images'][rows].transpose(0, 2, 3, 1)
  images = Images(pixels, labels, rows.astype(np.int32))
  mesh = sharding.data_mesh()
  whole = attacks.autoattack(threat)
  parts = {name: attacks.Cascade(((name, part),)) for name, part in whole.attacks}

  def measure(name, repeats):
    attack, seconds = {**parts, 'standard': whole}[name], []
    for _ in range(repeats):
      began = time.perf_counter()
      loaded = Loaded(images, batch, mesh)
      found = robustness.measure(
        subject, loaded, attack, jax.random.key(0), threat=threat
      )
      seconds.append(time.perf_counter() - began)
    return seconds[0], seconds[-1], found.robust

  return measure


def theirs(golden, count, batch):
  """As `ours`, with torchattacks on PyTorch."""
  import torch
  import torchattacks
  from torch import nn
  from torch.nn import functional

  class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
      super().__init__()
      self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
      self.bn1 = nn.BatchNorm2d(outputs)
      self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
      self.bn2 = nn.BatchNorm2d(outputs)
      self.shortcut = nn.Sequential()
      if stride != 1:
        pointwise = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.shortcut = nn.Sequential(pointwise, nn.BatchNorm2d(outputs))

    def forward(self, x):
      inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
      return functional.relu(inner + self.shortcut(x))

  class ResNet8(nn.Module):
    def __init__(self):
      super().__init__()
      self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
      self.bn1 = nn.BatchNorm2d(16)
      for number, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
        block = Block(inputs, outputs, 1 if number == 1 else 2)
        setattr(self, f'layer{number}', nn.Sequential(block))
      self.linear = nn.Linear(64, 10)

    def forward(self, x):
      x = functional.relu(self.bn1(self.conv1(x)))
      x = self.layer3(self.layer2(self.layer1(x)))
      return self.linear(x.mean((2, 3)))

  net = ResNet8().eval()
  state = {
    k.removeprefix('net/'): torch.tensor(v) for k, v in golden.items() if 'net/' in k
  }
  net.load_state_dict(state, strict=False)
  for parameter in net.parameters():
    parameter.requires_grad_(False)
  images = torch.tensor(golden['images'][:count]).float() / 255
  labels = torch.tensor(golden['labels'][:count]).long()
  usual = dict(norm='Linf', eps=8 / 255, steps=100, n_restarts=1)
  made = {
    'apgd_ce': torchattacks.APGD(net, **usual, loss='ce'),
    'apgd_t': torchattacks.APGDT(net, **usual, n_classes=10),
    'fab_t': torchattacks.FAB(net, **usual, n_classes=10, multi_targeted=True),
    'square': torchattacks.Square(
      net, norm='Linf', eps=8 / 255, n_queries=5000, resc_schedule=False
    ),
  }

  def attack(names, rows):
    """Each part on what the ones before left standing, in batches."""
    right = net(images[rows]).argmax(1) == labels[rows]
    for name in names:
      alive = rows[right.numpy()]
      for first in range(0, len(alive), batch):
        some = alive[first : first + batch]
        found = made[name](images[some], labels[some])
        far = (found - images[some]).abs().amax((1, 2, 3)) > 8 / 255 + 1e-6
        stands = (net(found).argmax(1) == labels[some]) | far
        right[np.isin(rows, some)] = stands
    return right.numpy()

  def measure(name, repeats):
    del repeats
    names = PARTS[:-1] if name == 'standard' else [name]
    began = time.perf_counter()
    found = attack(names, np.arange(count))
    seconds = time.perf_counter() - began
    return seconds, seconds, found

  return measure


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--images', type=int, default=64)
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--parts', default=','.join(PARTS))
  parser.add_argument('--golden', action='store_true')
  parser.add_argument('--norm', choices=tuple(THREATS), default='Linf')
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does
  with np.load(DATA) as archive:
    golden = {name: archive[name] for name in archive.files}
  names = options.parts.split(',')
  if options.golden:
    rows, prefix = np.arange(400), ''
    if options.norm != 'Linf':
      with np.load(DATA.with_name('golden_autoattack_l2_l1.npz')) as archive:
        verdicts = {name: archive[name] for name in archive.files}
      rows, prefix = verdicts.pop('index'), f'{options.norm}/'
      golden = {**golden, **verdicts}
    measure = ours(golden, rows, options.batch, THREATS[options.norm])
    print(f'{"":10}{"robust":>8}{"reference":>11}{"differ":>8}{"s":>8}')
    for name in names:
      _, seconds, robust = measure(name, 1)
      want = golden[prefix + name.replace('_', '-')]
      differ = np.sum(robust != want)
      print(
        f'{name:10}{robust.sum():8}{want.sum():11}{differ:8}{seconds:8.1f}', flush=True
      )
    return
  jax_run = ours(golden, np.arange(options.images), options.batch, THREATS['Linf'])
  torch_run = theirs(golden, options.images, options.batch)
  print(f'{options.images} images, batch {options.batch}, seconds')
  head = ('jaxrkd', 'compiled', 'torchattacks', 'ratio', 'robust', 'theirs')
  print(f'{"":10}' + ''.join(f'{title:>13}' for title in head))
  for name in names:
    first, again, robust = jax_run(name, 2)
    _, seconds, other = torch_run(name, 1)
    cells = (f'{first:.1f}', f'{again:.1f}', f'{seconds:.1f}', f'{seconds / again:.2f}')
    row = (*cells, int(robust.sum()), int(other.sum()))
    print(f'{name:10}' + ''.join(f'{cell:>13}' for cell in row), flush=True)


if __name__ == '__main__':
  main()
