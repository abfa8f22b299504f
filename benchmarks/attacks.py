"""Images per second of attacks on one network: jaxrkd against PyTorch, in one run.

Usage: python benchmarks/attacks.py [--network=resnet18] [--batch=32] [--precision=float32]
                                    [--attacks=fgsm,pgd_sat,...] [--peers=eager,channels_last]
                                    [--threats=linf,l2,l1] [--before=CHECKOUT] [--repeats=3]

`--before` adds another checkout of this project, such as one of an older commit, which runs
beside this one in turns: whether a change made attacks slower.
The network is untrained, so attacks that stop at the first success run to their end: the
labels are its own predictions and the ball is tiny. What PyTorch does is PGD in a Python loop
with as many gradients; attacks without a counterpart there have no ratio. AutoAttack against
its own PyTorch program is `autoattack.py`.
"""

import argparse
import os
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd.attacks import ATTACKS, THREATS
from jaxrkd.models.named import named_network, network_options
from jaxrkd.runtime import host_memory

# Gradient steps of what has a counterpart in PyTorch.
STEPS = {'fgsm': 1, 'pgd_sat': 20, 'pgd_trades': 20, 'cw_inf': 30}
# Too small to change a prediction.
EPS = 1e-6


def ours(network, batch, precision, names, threats):
  """(name, threat) -> function that attacks the batch and waits."""
  net = named_network(network_options(dict(name=network)), 10, (32, 32, 3), precision)
  params, stats = jax.jit(net.init)(jax.random.key(0))
  rng = np.random.default_rng(0)
  images = jnp.asarray(rng.uniform(size=(batch, 32, 32, 3)), jnp.float32)
  labels = jnp.argmax(jax.jit(net.apply)(params, stats, images), -1)
  found = {}
  for name, threat in ((name, threat) for name in names for threat in threats):
    attack = ATTACKS[name](THREATS[threat](EPS))

    def run(params, stats, images, labels, attack=attack):
      return attack(jax.random.key(1), net.logits_fn(params, stats), images, labels)

    compiled = jax.jit(run)
    found[name, threat] = lambda f=compiled: f(
      params, stats, images, labels
    ).block_until_ready()
  return found


def serve(given):
  """Runs what it is told on standard input; says when it has."""
  made = ours(*given)
  print('ready', flush=True)
  for line in sys.stdin:
    made[tuple(line.split())]()
    print('done', flush=True)


def elsewhere(checkout, given, arguments):
  """As `ours`, by the package of another checkout."""
  process = subprocess.Popen(
    [sys.executable, os.path.abspath(__file__), *arguments, '--serve'],
    env={**os.environ, 'PYTHONPATH': os.path.abspath(checkout)},
    cwd=checkout,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'ready\n'

  def run(case):
    process.stdin.write(' '.join(case) + '\n')
    process.stdin.flush()
    assert process.stdout.readline() == 'done\n'

  *_, names, threats = given
  return {(n, t): lambda c=(n, t): run(c) for n in names for t in threats}


def theirs(network, batch, precision, kind, names):
  import torch
  import torch_networks
  from torch.nn import functional as F

  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  layout = torch.contiguous_format if kind == 'eager' else torch.channels_last
  net = torch_networks.NETWORKS[network](10).to(device, memory_format=layout).eval()
  net.requires_grad_(False)
  run = torch.compile(net) if kind == 'compile' else net
  clean = torch.rand(batch, 3, 32, 32, device=device).contiguous(memory_format=layout)
  labels = torch.randint(0, 10, (batch,), device=device)

  def attack(steps):
    x = clean.clone()
    with torch.autocast(device, torch.bfloat16, enabled=precision == 'bfloat16'):
      for _ in range(steps):
        x = x.detach().requires_grad_()
        loss = F.cross_entropy(run(x).float(), labels)
        x = x.detach() + EPS / 4 * torch.autograd.grad(loss, x)[0].sign()
        x = torch.min(torch.max(x, clean - EPS), clean + EPS).clamp(0, 1)
    return float(x[0, 0, 0, 0])

  return {
    (name, 'linf'): lambda s=STEPS[name]: attack(s) for name in names if name in STEPS
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  words = lambda text: [word for word in text.split(',') if word]
  parser.add_argument('--network', default='resnet18')
  parser.add_argument('--batch', type=int, default=32)
  parser.add_argument('--precision', default='float32')
  usual = 'fgsm,pgd_sat,pgd_trades,cw_inf,apgd_ce,apgd_t,fab_t,square,svgd'
  parser.add_argument('--attacks', type=words, default=words(usual))
  parser.add_argument('--peers', type=words, default=['eager', 'channels_last'])
  parser.add_argument('--threats', type=words, default=['linf'])
  parser.add_argument('--before', default='')
  parser.add_argument('--serve', action='store_true', help=argparse.SUPPRESS)
  parser.add_argument('--repeats', type=int, default=3)
  options = parser.parse_args()
  host_memory.keep_freed()  # as `launch/main.py` does
  given = options.network, options.batch, options.precision
  cases = (*given, options.attacks, options.threats)
  if options.serve:
    return serve(cases)
  sides = {'jaxrkd': ours(*cases)}
  if options.before:
    sides['before'] = elsewhere(options.before, cases, sys.argv[1:])
  for kind in options.peers:
    sides[f'torch {kind}'] = theirs(*given, kind, options.attacks)
  device = jax.devices()[0].device_kind
  print(f'{options.network}, batch {options.batch}, {options.precision}, {device}')
  print(f'{"attack":17}{"side":22}{"first s":>9}{"s":>9}{"images/s":>10}{"ratio":>7}')
  for name, threat in ((a, t) for a in options.attacks for t in options.threats):
    best, first = {}, {}
    case = name, threat
    here = {side: made[case] for side, made in sides.items() if case in made}
    for repeat in range(options.repeats + 1):
      for side, run in here.items():
        began = time.perf_counter()
        run()
        spent = time.perf_counter() - began
        if repeat:
          best[side] = min(best.get(side, spent), spent)
        else:
          first[side] = spent
    for side, spent in best.items():
      print(
        f'{name + " " + threat:17}{side:22}{first[side]:9.1f}{spent:9.3f}'
        f'{options.batch / spent:10.1f}'
        f'{spent / best["jaxrkd"]:7.2f}',
        flush=True,
      )


if __name__ == '__main__':
  main()
