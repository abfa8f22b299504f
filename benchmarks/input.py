"""Images per second that reach the devices: the set on the devices, and streamed from the host.

Usage: python benchmarks/input.py [--images=50000] [--batch=128] [--steps=200]

What is measured is choosing, copying and augmenting batches, without a network, beside
PyTorch's DataLoader with the same augmentation. A step of training must take longer than
this, or waits.
"""

import argparse
import pathlib
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import experiment
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment.prepare import prepare
from jaxrkd.runtime import host_memory, sharding
from jaxrkd.train.feed import make_feed


def feed_of(stream, images, batch, folder):
  config = configs.base()
  config.batch_size, config.epochs, config.stream = batch, 1000, stream
  config.data = dict(name='synthetic', train=images, test=64)
  if stream == 'disk':
    config.stream = 'always'
    config.data = dict(name='npy', path=str(folder))
  config.select.split = 'test'
  config.student = dict(name='resnet8')
  config = experiment.resolve(config)
  data = experiment.dataset(config)
  setup = prepare(config, data, {}, sharding.data_mesh())
  order = lambda epoch: setup.order(jnp.int32(epoch))
  return setup, make_feed(setup, order, 0, {})


def measure(setup, feed, steps):
  """Images per second of `steps` batches, augmented."""

  @jax.jit
  def look(key, step, data, order):
    batch = setup.make_batch(
      jax.random.fold_in(key, step), data, order[step % len(order)], step
    )
    return jnp.sum(batch['image'])

  key, total = jax.random.key(0), 0.0
  for step in range(-10, steps):
    if step == 0:
      jax.block_until_ready(total)
      began = time.perf_counter()
    total = total + look(key, jnp.int32(step + 10), *feed.next(step + 10))
  jax.block_until_ready(total)
  return steps * setup.batch_size / (time.perf_counter() - began)


def loader(images, batch, steps):
  """PyTorch's DataLoader with two workers, padding, cropping and flipping one by one."""
  import torch

  class Images(torch.utils.data.Dataset):
    arrays = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)

    def __len__(self):
      return len(self.arrays)

    def __getitem__(self, k):
      padded = np.pad(self.arrays[k], ((4, 4), (4, 4), (0, 0)))
      down, across = torch.randint(0, 9, (2,)).tolist()
      flip = torch.rand(()) < 0.5
      image = padded[down : down + 32, across : across + 32]
      image = np.ascontiguousarray((image[:, ::-1] if flip else image).transpose(2, 0, 1))
      return torch.from_numpy(image).float() / 255, 0

  made = torch.utils.data.DataLoader(Images(), batch, shuffle=True, num_workers=2)
  began, count = None, 0
  for number, (x, _) in enumerate(made):
    if number == 5:
      began = time.perf_counter()
    count += len(x) if number > 5 else 0
    if number == steps:
      break
  return count / (time.perf_counter() - began)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--images', type=int, default=50000)
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--steps', type=int, default=200)
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does
  print(f'batch {options.batch}, {jax.devices()[0].device_kind}: images/s')
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    rng = np.random.default_rng(0)
    for part, count in (('train', options.images), ('test', 64)):
      images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
      np.save(folder / f'{part}_images.npy', images)
      np.save(folder / f'{part}_labels.npy', np.arange(count) % 10)
    for title, stream in (
      ('on the devices', 'never'),
      ('streamed from memory', 'always'),
      ('streamed from disk', 'disk'),
    ):
      setup, feed = feed_of(stream, options.images, options.batch, folder)
      speed = measure(setup, feed, options.steps)
      print(f'{title:24}{speed:12,.0f}', flush=True)
  peer = loader(options.images, options.batch, options.steps)
  print(f'{"torch DataLoader":24}{peer:12,.0f}')


if __name__ == '__main__':
  main()
