"""What the papers' experiments cost: arithmetic per image, and hours on a device.

Usage: python benchmarks/costs.py [--methods=mtard,rslad,...] [--data=cifar10,cifar100]
                                  [--student=resnet18] [--tflops=230]

GFLOP per image are counted from the traced training step (`jaxrkd.train.flops`): attack,
teachers and training passes; nothing is run. Hours are those of the recipe's epochs of 50,000
images at `--tflops` sustained (measure them with `train_step.py`: matrix rate times share).
AutoAttack is counted for images that withstand all of it, 10,000 test images, half of them robust.
"""

import argparse

import jax
import jax.numpy as jnp
import steps

from jaxrkd.models.named import named_network, network_options
from jaxrkd.runtime import sharding
from jaxrkd.train.flops import count_flops

EVERY = (
  'natural,sat,ffgsm,trades,mart,ckd,ard,iad_1,iad_2,rslad,adaad,mtard,mmard,'
  'akd,at_aka,cat_aka'
)
IMAGES, TESTED = 50_000, 10_000
BATCH = 8


def step_flops(method, data, student):
  """FLOP of a step per image, and the epochs of the recipe."""
  given = (method, data, student, 'paper', BATCH, 'float32')
  config = steps.config_of(*given)
  setup, arguments = steps.described(config, sharding.data_mesh(jax.devices()[:1]))
  return count_flops(setup.train_step, *arguments) / BATCH, config.epochs


def forward_flops(network, classes):
  net = named_network(network_options(dict(name=network)), classes, (32, 32, 3))
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  return count_flops(net.apply, *jax.eval_shape(net.init, jax.random.key(0)), image)


def autoattack_flops(forward):
  """Of one image that withstands APGD-CE, APGD-T, FAB-T and Square with their defaults."""
  gradient = 2 * forward  # with respect to the image: forward and back
  return (
    100 * gradient + 9 * 100 * gradient + 9 * 100 * (gradient + forward) + 5000 * forward
  )


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  words = lambda text: [word for word in text.split(',') if word]
  parser.add_argument('--methods', type=words, default=words(EVERY))
  parser.add_argument('--data', type=words, default=['cifar10', 'cifar100'])
  parser.add_argument('--student', default='resnet18')
  parser.add_argument('--tflops', type=float, default=230.0)
  options = parser.parse_args()
  print(f'{options.student}, {options.tflops:g} TFLOP/s sustained')
  print(
    f'{"method":10}{"data":10}{"GFLOP/image":>12}{"epochs":>8}{"images/s":>10}{"hours":>8}'
  )
  rate = options.tflops * 1e12
  for data in options.data:
    for method in options.methods:
      each, epochs = step_flops(method, data, options.student)
      hours = each * IMAGES * epochs / rate / 3600
      print(
        f'{method:10}{data:10}{each / 1e9:12.1f}{epochs:8}{rate / each:10.0f}{hours:8.2f}',
        flush=True,
      )
    forward = forward_flops(options.student, steps.CLASSES[data])
    whole = TESTED * 0.5 * autoattack_flops(forward)
    print(
      f'AutoAttack, {data}: {whole / 1e15:.1f} PFLOP, {whole / rate / 60:.1f} minutes'
    )


if __name__ == '__main__':
  main()
