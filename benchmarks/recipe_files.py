"""Reads a file for every recipe of a public teacher, in its authors' layout and full size.

Usage: python benchmarks/recipe_files.py [--only=TEXT] [--largest=MILLIONS]

The weights are random: a PyTorch module of the recipe's architecture writes them, as its
authors' code would, `read_network` reads them by the recipe's name, and the logits of both on
two images are compared in float64. Of recipes that differ in nothing but their file the first
is read. Ends with status 1 where one is refused or differs. Needs torch and PyTorch modules of
tests/. The largest file takes 1.5 GB on disk and six times that in memory.
"""

import argparse
import collections
import json
import pathlib
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jaxrkd.errors import InputError
from jaxrkd.interop import RECIPES, read_network
from jaxrkd.models.named import network_options
from jaxrkd.models.normalisation import constants

sys.path.append(str(pathlib.Path(__file__).parent.parent / 'tests'))
import torch_layouts as layouts

STAGES = {'resnet18': (2, 2, 2, 2), 'resnet34': (3, 4, 6, 3), 'resnet50': (3, 4, 6, 3)}
# Of the largest logit, in float64: float32 puts activations on other sides of MeanSparse's
# thresholds than PyTorch does, and says less of the other networks.
NEAR = 1e-9


def module_of(node, classes):
  """The PyTorch module of a network's options, for images of three channels."""
  name, activation = node['name'], node.get('activation', 'relu')
  if name.startswith('xcit'):
    sizes = node['dim'], node['depth'], node['heads']
    return layouts.XCiT(classes, 3, *sizes, patch=node['patch'])
  if 'wrn' in name:
    dm = name.startswith('dm')
    kind = layouts.DMWideResNet if dm else layouts.WideResNet
    more = {'sparse': True} if node.get('mean_sparse') else {}
    return kind(classes, 3, node['depth'], node['width'], activation=activation, **more)
  if name == 'preact_resnet18':
    raw = node['shortcut_reads'] == 'raw'
    return layouts.PreActResNet(
      classes, 3, 64, activation, final=node['final_bn'], raw=raw
    )
  if name == 'dm_preact_resnet18':
    return layouts.DMPreActResNet(classes, 3, 64, activation)
  if name in STAGES:
    three = name == 'resnet50'
    return layouts.ResNet(classes, 3, STAGES[name], 64, activation, three=three)
  each = (int(name.removeprefix('resnet')) - 2) // 6
  style = 'option A' if node['shortcut'] == 'padding' else 'hub'
  return layouts.ResNet(classes, 3, (each,) * 3, 16, activation, style)


def read(path, name, module, images):
  """Reads a file by a recipe's name; how far logits are from the module's, relative."""
  recipe = RECIPES[name]
  found = read_network(path, recipe=name, check=False)
  node = network_options(recipe.network)
  mean, std = constants(node['normalisation'], node['mean'], node['std'], 3)
  wanted = images
  if mean:
    mean, std = (torch.tensor(c, dtype=torch.float64)[:, None, None] for c in (mean, std))
    wanted = (images - mean) / std
  with torch.no_grad():
    want = module.double()(wanted).numpy()
  with jax.enable_x64(True):
    wide = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), found.variables)
    logits = np.asarray(found.net.apply(*wide, jnp.asarray(images.permute(0, 2, 3, 1))))
  assert logits.dtype == np.float64
  return float(np.abs(logits - want).max() / np.abs(want).max())


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--only', default='')
  parser.add_argument('--largest', type=float, default=1e9, help='millions of parameters')
  options = parser.parse_args()
  alike = collections.defaultdict(list)
  for name, recipe in RECIPES.items():
    if options.only in name:
      alike[json.dumps([recipe.network, recipe.classes], sort_keys=True)].append(name)
  generator = torch.Generator().manual_seed(0)
  images = torch.rand(2, 3, 32, 32, generator=generator).double()
  bad = read_ones = 0
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'model.pt'
    for first, *others in alike.values():
      recipe, began = RECIPES[first], time.monotonic()
      module = module_of(network_options(recipe.network), recipe.classes)
      millions = sum(p.numel() for p in module.parameters()) / 1e6
      if millions > options.largest:
        continue
      layouts.randomise(module)
      # As a file of nn.DataParallel.
      state = {f'module.{key}': value for key, value in module.state_dict().items()}
      torch.save({'state_dict': state}, path)
      try:
        distance = read(path, first, module, images)
        told, fine = f'{distance:.1e} apart', distance < NEAR
      except InputError as error:
        told, fine = str(error), False
      read_ones += 1 + len(others)
      bad += not fine
      seconds = time.monotonic() - began
      more = f' and {len(others)} more' if others else ''
      print(f'{first}{more}: {millions:.1f} M, {told}, {seconds:.0f} s', flush=True)
  print(
    f'{read_ones} recipes read, {bad} refused or apart by more than {NEAR} of a logit'
  )
  return int(bool(bad))


if __name__ == '__main__':
  sys.exit(main())
