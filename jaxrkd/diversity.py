"""SVGD against PGD on trained networks: AT-AKA's Table 1 and its pictures."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jaxrkd import attacks, build, losses, pictures
from jaxrkd import config as configs
from jaxrkd.errors import InputError
from jaxrkd.evaluate import particles, robustness
from jaxrkd.run import train_and_evaluate
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.load import load_trained, read_config

Array = jax.Array
STEPS = 20
COLUMNS = {
  'linf': ('Linf /255', 1),
  'l2': ('L2', 1),
  'l1': ('L1', 1),
  'ce_mean': ('mean CE', 1),
  'ce_std': ('std CE', 1),
  'ce_max': ('max CE', 1),
  'classes': ('classes', 1),
  'accuracy': ('accuracy %', 100),
}


def searches(threat: attacks.Threat) -> dict[str, attacks.Search]:
  """The sets that are compared: 20 steps of 0.003 at eps 8/255, in proportion to eps."""
  options: dict[str, Any] = dict(steps=STEPS, step_size=threat.eps * 0.003 * 255 / 8)
  return {
    'PGD': attacks.pgd_search(threat, **options),
    'SVGD': attacks.svgd_search(threat, **options),
    'SVGD, sigma 1e-3': attacks.SEARCHES['svgd_paper'](threat, **options),
  }


def table1(
  runs: Mapping[str, str],
  workdir: str | pathlib.Path,
  *,
  images: int = 100,
  count: int = 10,
  picture: int = 0,
  overrides: list[str] | None = None,
  data_dir: str = '',
) -> str:
  """Prints how far apart and how strong the particles of both attacks are.

  Writes `table1.json`, `table1.md`, `plane.png` (two dimensions, as Figure 1) and
  `<network>.png` (one real image) into the workdir.

  Args:
    runs: name -> workdir of a finished run, or config 'file.py:words', which is trained
      first, in `workdir/<name>`.
    workdir: for what is made.
    images: the first so many of the test split are averaged over.
    count: particles per image.
    picture: which of these images is drawn.
    overrides: 'key=value' texts for configs.
    data_dir: where TFDS data lie.

  Returns:
    The table as Markdown.

  Raises:
    InputError: nothing to compare, fewer than 2 particles, or too few images.
  """
  workdir = pathlib.Path(workdir)
  if not runs:
    raise InputError('no networks; name runs or configs, such as configs/sat.py:digits')
  if count < 2:
    raise InputError(f'particles is {count}; distances need at least 2')
  if not 0 <= picture < images:
    raise InputError(
      f'picture is {picture}, but only images 0 to {images - 1} are attacked; name one '
      'of these, or raise images'
    )
  found: dict[str, dict[str, float]] = {}
  mesh = sharding.data_mesh()
  for name, spec in runs.items():
    home = pathlib.Path(spec)
    if '.py' in spec:
      home = workdir / name
      config = build.resolve(configs.load_spec(spec), list(overrides or []))
      train_and_evaluate(config, home, data_dir, name)
    config = build.resolve(read_config(home))
    trained = load_trained(home, 'best', mesh, config.precision)
    loaded, eps = _first(config, images, mesh, data_dir), config.evaluation.threat.eps
    answer = particles.one_network(trained.net)
    variables = (trained.state.params, trained.state.stats)
    drawn = {}
    for title, search in searches(attacks.Linf(eps)).items():
      given = (
        answer,
        variables,
        count,
        loaded,
        mesh,
        search,
        jax.random.key(config.seed),
      )
      found[f'{name}, {title}'] = particles.describe(*given)
      clean, made = particles.first_particles(*given)
      drawn[title] = made[:, picture]
    if sharding.is_first_process():
      pictures.rows_of_images(workdir / f'{name}.png', clean[picture], drawn, eps)
  table = _markdown(found, images, count)
  if sharding.is_first_process():
    draw_plane(workdir / 'plane.png', count)
    files.write_json(workdir / 'table1.json', found)
    (workdir / 'table1.md').write_text(table + '\n')
  say(
    f'\n{table}\n\nwritten to {workdir}: table1.md, plane.png and a picture per network'
  )
  return table


def _first(
  config: ConfigDict, images: int, mesh: jax.sharding.Mesh, data_dir: str
) -> robustness.Loaded:
  split = build.dataset(config, data_dir).test
  if len(split) < images:
    raise InputError(
      f'images is {images}, but {config.data.name} has {len(split)} test images; ask for '
      'fewer'
    )
  devices = mesh.devices.size
  batch = -(-min(images, 100) // devices) * devices
  return robustness.load_split(split.take(np.arange(images)), batch, mesh)


def _markdown(found: Mapping[str, Mapping[str, float]], images: int, count: int) -> str:
  head = [f'{count} particles, {images} images', *(t for t, _ in COLUMNS.values())]
  lines = [head, ['---'] * len(head)]
  for name, row in found.items():
    cells = [f'{scale * row[key]:.3g}' for key, (_, scale) in COLUMNS.items()]
    lines.append([name, *cells])
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def draw_plane(path: pathlib.Path, count: int, eps: float = 0.12) -> None:
  """The two-dimensional case: a small network on two half-moons, a few points attacked."""
  points, labels = two_moons(400)
  logits_fn = moon_network(points, labels)
  chosen = np.array([3, 40, 77, 121, 160, 203])
  clean = jnp.asarray(points[chosen]).reshape(-1, 1, 2, 1)
  own = jnp.asarray(labels[chosen])
  objective = attacks.objectives.cross_entropy(logits_fn, own)
  made = {
    title: np.asarray(
      search.together(
        jax.random.key(0), attacks.objectives.all_alike(objective), clean, count
      )
    ).reshape(count, -1, 2)
    for title, search in searches(attacks.Linf(eps)).items()
  }

  def probability(grid: np.ndarray) -> np.ndarray:
    logits = logits_fn(jnp.asarray(grid, jnp.float32).reshape(-1, 1, 2, 1))
    return np.asarray(jax.nn.softmax(logits)[:, 1])

  pictures.plane(path, probability, points[chosen], labels[chosen], made, eps)


def two_moons(count: int) -> tuple[np.ndarray, np.ndarray]:
  """Points [count, 2] in [0, 1] on two half-moons, and their labels."""
  rng = np.random.default_rng(0)
  labels = np.arange(count) % 2
  turn = np.pi * rng.uniform(size=count)
  upper = np.stack([np.cos(turn), np.sin(turn)], 1)
  moons = np.where(labels[:, None] == 0, upper, np.array([1.0, 0.5]) - upper)
  spread = moons + 0.06 * rng.normal(size=moons.shape)
  scaled = (spread - np.array([-1.3, -0.8])) / np.array([3.6, 2.1])
  return scaled.astype(np.float32), labels


def moon_network(points: np.ndarray, labels: np.ndarray) -> attacks.objectives.LogitsFn:
  """A dense network with one hidden layer, trained on the points."""
  keys = jax.random.split(jax.random.key(1), 3)
  params = {
    'in': 6 * jax.random.normal(keys[0], (2, 64)),
    'bias': 3 * jax.random.normal(keys[1], (64,)),
    'out': jax.random.normal(keys[2], (64, 2)) / 8,
  }
  rule = optax.adam(1e-2)
  inputs, targets = jnp.asarray(points), jnp.asarray(labels)

  def logits(params, flat):
    return jnp.tanh(flat @ params['in'] + params['bias']) @ params['out']

  def step(carry, _):
    params, opt = carry
    value = lambda p: losses.cross_entropy(logits(p, inputs), targets).mean()
    change, opt = rule.update(jax.grad(value)(params), opt)
    return (optax.apply_updates(params, change), opt), None

  train = jax.jit(lambda p: jax.lax.scan(step, (p, rule.init(p)), length=500)[0][0])
  trained = train(params)
  return lambda images: logits(trained, images.reshape(len(images), 2))
