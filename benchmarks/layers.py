"""Single convolutions, and whole passes of a network, against PyTorch (channels last).

Usage: python benchmarks/layers.py [--batch=32] [--networks=resnet18,mobilenet_v2,resnet56]
                                   [--repeats=8]

Milliseconds forward, of the images' gradient and of the kernel's, jaxrkd's first; then of a
network in evaluation mode, of the gradient with respect to its images, which is a step of an
attack, and of a training pass. Float32; the fastest of some repeats.
"""

import argparse
import time

import jax
import numpy as np
import torch
import torch_networks

from jaxrkd.models.conv import conv2d
from jaxrkd.models.depthwise import depthwise_conv2d
from jaxrkd.models.named import named_network, network_options
from jaxrkd.runtime import host_memory

# (name, size of the kernel, stride, input channels, output channels, pixels); depthwise if
# the input channels are 1.
LAYERS = (
  ('ResNet-18', 3, 1, 64, 64, 32),
  ('ResNet-18', 3, 1, 128, 128, 16),
  ('ResNet-18', 3, 1, 256, 256, 8),
  ('ResNet-18', 3, 1, 512, 512, 4),
  ('ResNet-18', 3, 2, 64, 128, 32),
  ('ResNet-56', 3, 1, 16, 16, 32),
  ('MobileNetV2', 1, 1, 24, 144, 32),
  ('MobileNetV2', 1, 1, 144, 24, 32),
  ('MobileNetV2', 3, 1, 1, 96, 32),
  ('MobileNetV2', 3, 1, 1, 384, 8),
)


def best(run, repeats):
  """Milliseconds of the fastest call."""
  run()
  fastest = float('inf')
  for _ in range(repeats):
    began = time.perf_counter()
    run()
    fastest = min(fastest, time.perf_counter() - began)
  return 1e3 * fastest


def layer(size, stride, inputs, outputs, pixels, batch):
  """(ours, theirs): three functions each."""
  depthwise = inputs == 1
  channels = outputs if depthwise else inputs
  rng = np.random.default_rng(0)
  normal = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
  x, kernel = normal(batch, pixels, pixels, channels), normal(size, size, inputs, outputs)
  slope = normal(batch, pixels // stride, pixels // stride, outputs)
  conv = depthwise_conv2d if depthwise else conv2d
  run = lambda x, k: conv(x, k, stride)
  programs = [
    jax.jit(lambda x, k, g: run(x, k)),
    jax.jit(lambda x, k, g: jax.vjp(lambda x: run(x, k), x)[1](g)[0]),
    jax.jit(lambda x, k, g: jax.vjp(lambda k: run(x, k), k)[1](g)[0]),
  ]
  given = jax.device_put((x, kernel, slope))
  ours = [lambda f=f: f(*given).block_until_ready() for f in programs]
  last = dict(memory_format=torch.channels_last)
  tx, tg = (
    torch.from_numpy(a).permute(0, 3, 1, 2).contiguous(**last) for a in (x, slope)
  )
  tk = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(**last)
  groups = channels if depthwise else 1
  options = ([stride] * 2, [size // 2] * 2, [1, 1])
  back = torch.ops.aten.convolution_backward
  slopes = lambda *want: back(
    tg, tx, tk, None, *options, False, [0, 0], groups, [*want, False]
  )
  theirs = [
    lambda: torch.nn.functional.conv2d(tx, tk, None, *options, groups),
    lambda: slopes(True, False),
    lambda: slopes(False, True),
  ]
  return ours, theirs


def network(name, batch):
  """(ours, theirs): three passes each."""
  net = named_network(network_options({'name': name}), 10, (32, 32, 3))
  params, stats = jax.jit(net.init)(jax.random.key(0))
  images = jax.random.uniform(jax.random.key(1), (batch, 32, 32, 3))
  total = lambda logits: jax.nn.logsumexp(logits, -1).sum()

  def training(params, stats, x):
    logits, moved = net.apply_train(params, stats, x)
    return total(logits), moved

  attack = jax.grad(lambda x, p, s: total(net.apply(p, s, x)))
  programs = [
    (jax.jit(net.apply), (params, stats, images)),
    (jax.jit(attack), (images, params, stats)),
    (jax.jit(jax.grad(training, has_aux=True)), (params, stats, images)),
  ]
  ours = [lambda f=f, a=a: jax.block_until_ready(f(*a)) for f, a in programs]
  last = dict(memory_format=torch.channels_last)
  theirs = torch_networks.NETWORKS[name](10).to(**last).eval()
  x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).contiguous(**last)

  def forward():
    with torch.no_grad():
      theirs(x)

  def gradient():
    z = x.detach().requires_grad_()
    torch.autograd.grad(theirs(z).logsumexp(1).sum(), z)

  def train():
    theirs.train().zero_grad()
    theirs(x).logsumexp(1).sum().backward()
    theirs.eval()

  return ours, [forward, gradient, train]


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  words = lambda text: [word for word in text.split(',') if word]
  parser.add_argument('--batch', type=int, default=32)
  parser.add_argument(
    '--networks', type=words, default=['resnet18', 'mobilenet_v2', 'resnet56']
  )
  parser.add_argument('--repeats', type=int, default=8)
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does
  if torch.cuda.is_available() or jax.default_backend() != 'cpu':
    raise SystemExit(
      'this compares CPUs; set JAX_PLATFORMS=cpu and CUDA_VISIBLE_DEVICES='
    )

  def show(title, sides):
    pairs = zip(*([best(run, options.repeats) for run in side] for side in sides))
    cells = ''.join(f'{a:8.1f}{b:8.1f}' for a, b in pairs)
    print(f'{title:38}{cells}', flush=True)

  print(f'{"batch " + str(options.batch):38}{"forward":>16}{"images":>16}{"kernel":>16}')
  for name, *shape in LAYERS:
    size, stride, inputs, outputs, pixels = shape
    title = f'{name} {size}x{size}/{stride} {inputs}-{outputs}, {pixels}x{pixels}'
    show(title, layer(*shape, options.batch))
  print(f'{"":38}{"forward":>16}{"attack":>16}{"training":>16}')
  for name in options.networks:
    show(name, network(name, options.batch))


if __name__ == '__main__':
  main()
