"""The wheel in a fresh environment: its command, README's Python, `distill` beside the program.

Usage: python benchmarks/wheel.py [--folder=FOLDER] [--epochs=1]

Builds the wheel, installs it with the versions of constraints.txt into an environment of its
own, and goes to an empty folder. There it trains MTARD, RSLAD and AT-AKA on digits with the
command `jaxrkd`, and steps through the same batches with `jaxrkd.distill`: one line for each
method says how far the losses lie apart. Then it runs README's Python, and `distill` with a
Flax NNX network that has Dropout and BatchNorm, a Linen one and a pair of functions.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
# Losses of a run of the command, and of the same batches given to `distill` by hand.
BESIDE = """
import json, pathlib, sys
import jax, numpy as np
import jaxrkd
from jaxrkd import experiment
from jaxrkd.data.batches import epoch_order, uniform
from jaxrkd.experiment import make
from jaxrkd.experiment.load import read_config
from jaxrkd.models.named import named_network
from jaxrkd.optimizers import weight_sgd
from jaxrkd.train.state import run_keys

run = pathlib.Path(sys.argv[1])
config = experiment.resolve(read_config(run), past=True)
data = experiment.dataset(config).train
rows = [json.loads(line) for line in open(run / 'metrics.jsonl', encoding='utf-8')]
wanted = {row['step']: row['loss'] for row in rows if 'loss' in row}
per_epoch = -(-len(data) // config.batch_size)
schedule, method = make.schedule(config, per_epoch), make.method(config)
net = lambda node: named_network(node, 10, (8, 8, 1))
load = lambda name: jaxrkd.load_run(run / 'teachers' / name)
distiller = jaxrkd.distill(
  net(config.student), method,
  teachers={name: load(name) for name in config.teachers},
  online={name: net(node) for name, node in config.online.items()},
  attack=make.search(config), attack_bn=config.attack.bn,
  optimizer=make.optimizer(config, schedule),
  weights_optimizer=weight_sgd(method.weight_rate, method.weight_rate_decays, schedule),
  steps_per_epoch=per_epoch,
)
key = jax.random.key(config.seed)
state, order_key = distiller.init(key), run_keys(key)[2]
apart = []
for step in range(config.epochs * per_epoch):
  epoch, within = divmod(step, per_epoch)
  order = epoch_order(order_key, epoch, uniform(len(data)), config.batch_size, config.drop_last)
  place = np.asarray(order[within])
  chosen = np.maximum(place, 0)
  state, scalars = distiller.step(
    state, data.image[chosen], data.label[chosen], index=data.index[chosen],
    mask=place >= 0 if len(data) % config.batch_size else None,
  )
  apart.append(abs(float(scalars['loss']) - wanted[step + 1]) / abs(wanted[step + 1]))
print(f'{config.method.name}: {len(apart)} steps, losses of distill and of the program differ '
      f'by {max(apart):.2g} at most ({sum(a == 0 for a in apart)} are equal)')
assert max(apart) < 1e-3
"""
OWN = """
import jax, jax.numpy as jnp, numpy as np, optax
from flax import linen, nnx
import jaxrkd
from jaxrkd import attacks, methods, models
from jaxrkd.data import SOURCES

class Own(nnx.Module):
  def __init__(self, rngs):
    self.conv = nnx.Conv(1, 32, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(32, rngs=rngs)
    self.drop = nnx.Dropout(0.1, rngs=rngs)
    self.head = nnx.Linear(32 * 16, 10, rngs=rngs)
  def __call__(self, x):
    x = nnx.avg_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), (2, 2))
    return self.head(self.drop(x.reshape(len(x), -1)))

class Linen(linen.Module):
  @linen.compact
  def __call__(self, x, deterministic):
    x = linen.relu(linen.BatchNorm(use_running_average=deterministic)(linen.Conv(32, (3, 3))(x)))
    x = linen.Dropout(0.1, deterministic=deterministic)(x.reshape(len(x), -1))
    return linen.Dense(10)(x)

networks = {
  'NNX': lambda: Own(nnx.Rngs(0)),
  'Linen': lambda: models.from_linen(Linen(), (8, 8, 1)),
  'functions': lambda: (lambda key: jnp.zeros((64, 10)), lambda w, x: x.reshape(len(x), -1) @ w),
}
train, test = SOURCES['digits']()
teachers = {n: jaxrkd.load_run(f'mtard/teachers/{n}') for n in ('clean', 'robust')}
for name, make in networks.items():
  distiller = jaxrkd.distill(
    make(), methods.mtard(), teachers=teachers, optimizer=optax.adamw(3e-3),
    attack=attacks.pgd_search(attacks.Linf(0.12), steps=5, step_size=0.03),
  )
  state = distiller.init(jax.random.key(0))
  rng = np.random.default_rng(0)
  for step in range(120):
    place = rng.choice(len(train), 64, replace=False)
    state, scalars = distiller.step(state, train.image[place], train.label[place])
  found = jaxrkd.evaluate.attack_images(
    distiller.logits_fn(state), test.image, test.label, attacks.pgd_sat(attacks.Linf(0.12)))
  print(f'distill, {name}: loss {float(scalars["loss"]):.3f}, test accuracy '
        f'{found.clean_accuracy:.3f} clean, {found.robust_accuracy:.3f} PGD_sat')
"""
README = """
import jax, jax.numpy as jnp, pathlib, re, sys
text = pathlib.Path(sys.argv[1]).read_text(encoding='utf-8')
images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
weights = jax.random.normal(jax.random.key(1), (64, 3))
names = {'images': images, 'labels': jnp.array([0, 1, 2, 0]),
         'logits_fn': lambda x: x.reshape(len(x), -1) @ weights,
         'my_loss': lambda x: x.sum((1, 2, 3))}
for block in re.findall(r'```python\\n(.*?)```', text, re.S):
  exec(block, names)
LINES = r'((?:^    (?:import|from|f |found|panel|print|jaxrkd\\.).*\\n)+)'
for block in re.findall(LINES, text, re.M):
  code = re.sub('^    ', '', block, flags=re.M).replace('runs/mtard_digits', 'mtard')
  if 'import' in code and 'distill' not in code:
    exec(code, names)
print('README: its Python ran')
"""


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--folder', default='')
  parser.add_argument('--epochs', type=int, default=1)
  options = parser.parse_args()
  folder = pathlib.Path(options.folder or tempfile.mkdtemp('-wheel')).resolve()
  folder.mkdir(parents=True, exist_ok=True)
  began = time.monotonic()
  run = lambda *command: subprocess.run(list(map(str, command)), cwd=folder, check=True)
  source = folder / 'source'
  run('git', 'clone', '--quiet', ROOT, source)
  quiet = ('--quiet', '--disable-pip-version-check')
  pip = (sys.executable, '-m', 'pip')
  run(*pip, 'wheel', *quiet, '--no-deps', '-w', folder, source)
  (wheel,) = folder.glob('*.whl')
  run(sys.executable, '-m', 'venv', folder / 'venv')
  home = folder / 'venv' / 'bin'
  run(home / 'pip', 'install', *quiet, '-c', ROOT / 'constraints.txt', wheel)
  print(f'{wheel.name} installed after {time.monotonic() - began:.0f} s', flush=True)
  still = ('--config.augment.pad=0', '--config.log_every=1')
  for method, words in (
    ('mtard', 'digits'),
    ('rslad', 'digits'),
    ('at_aka', 'digits,n2'),
  ):
    command = [f'--config={method}:{words},smoke', f'--workdir={method}', *still]
    command += [f'--config.epochs={options.epochs}', '--config.evaluation.images=100']
    with (folder / f'{method}.log').open('w', encoding='utf-8') as log:
      subprocess.run(
        [str(home / 'jaxrkd'), 'train', *command],
        cwd=folder,
        check=True,
        stdout=log,
        stderr=log,
      )
    run(home / 'python', '-c', BESIDE, method)
  run(home / 'python', '-c', OWN)
  run(home / 'python', '-c', README, ROOT / 'README.md')
  found = subprocess.run(
    [str(home / 'python'), '-c', 'import jaxrkd; print(jaxrkd.__file__)'],
    cwd=folder,
    check=True,
    capture_output=True,
    text=True,
  ).stdout
  assert re.search('venv.*site-packages', found), found
  print(f'all of it from the wheel, {time.monotonic() - began:.0f} s')


if __name__ == '__main__':
  main()
