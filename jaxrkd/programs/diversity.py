"""SVGD against PGD: how different and how strong their adversarial images are.

Usage: jaxrkd diversity --workdir=runs/table1 \\
         --configs=natural:digits,sat:digits
       jaxrkd diversity --workdir=runs/table1 --runs=robust=runs/sat

AT-AKA's Table 1 for networks of finished runs, or of configs, which are trained first.
Writes the table and pictures of the particles, in the plane and on a real image.
"""

import pathlib
from collections.abc import Mapping

import jax
import numpy as np
from absl import flags

from jaxrkd import attacks, experiment
from jaxrkd.attacks.threat import radius
from jaxrkd.errors import InputError, one_of
from jaxrkd.evaluate import particle_statistics
from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import particle_sets, train_and_evaluate
from jaxrkd.experiment.load import load_trained, read_config
from jaxrkd.paths import absolute, expanded
from jaxrkd.programs import command_line
from jaxrkd.programs.plane import draw_plane
from jaxrkd.report import pictures
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

COLUMNS = {
  'linf': ('Linf, of 255', 1),
  'l2': ('L2, of 1', 1),
  'l1': ('L1, of 1', 1),
  'ce_mean': ('mean CE', 1),
  'ce_std': ('std CE', 1),
  'ce_max': ('max CE', 1),
  'classes': ('classes', 1),
  'accuracy': ('accuracy %', 100),
}


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list('configs', [], 'Config files, each optionally with :word.')
  flags.DEFINE_list('runs', [], 'Workdirs of finished runs, each [NAME=]PATH[:network].')
  flags.DEFINE_integer('images', 100, 'Test images to average over.')
  flags.DEFINE_integer('particles', 10, 'Adversarial images of each image.')
  flags.DEFINE_integer(
    'ddof', 0, 'Delta degrees of freedom of the standard deviation: 0, or 1 for a sample.'
  )
  flags.DEFINE_integer('picture', 0, 'Number of the test image to draw, from 0.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  workdir = command_line.required_workdir()
  given = [
    *((command_line.spec_name(spec), spec) for spec in command_line.specs(found.configs)),
    *map(command_line.named_run, found.runs),
  ]
  named = dict(given)
  if len(named) < len(given):
    raise InputError(
      'two of --configs and --runs have the same name; write --runs=NAME=PATH,...'
    )
  table1(
    named,
    workdir,
    images=found.images,
    count=found.particles,
    picture=found.picture,
    ddof=found.ddof,
    overrides=overrides,
    data_dir=found.data_dir,
  )


def searches(threat: attacks.Threat) -> dict[str, attacks.Search]:
  """The sets that are compared: 20 steps of 0.003 at eps 8/255, in proportion to eps."""
  return {name: particle_sets.search(name, threat) for name in particle_sets.SEARCHES}


def table1(
  runs: Mapping[str, str],
  workdir: str | pathlib.Path,
  *,
  images: int = 100,
  count: int = 10,
  picture: int = 0,
  ddof: int = 0,
  overrides: list[str] | None = None,
  data_dir: str = '',
) -> str:
  """Prints how far apart and how strong the particles of both attacks are.

  Writes `table1.json`, `table1.md`, `plane.png` (two dimensions, as Figure 1) and
  `<network>.png` (one real image) into the workdir.

  Args:
    runs: name -> workdir of a finished run, with ':network' for one of several; or
      config 'file.py:words', which is trained first, in `workdir/<name>`.
    workdir: for what is made.
    images: the first so many of the test split are averaged over.
    count: particles per image.
    picture: which of these images is drawn.
    ddof: of the standard deviation of an image's cross-entropies, 0 or 1.
    overrides: 'key=value' texts for configs.
    data_dir: where TFDS data lie.

  Returns:
    The table as Markdown.

  Raises:
    InputError: nothing to compare, fewer than 2 particles, or too few images.
  """
  workdir = absolute(workdir)
  _check(runs, images, count, picture, ddof, overrides)
  found: dict[str, dict[str, float]] = {}
  settings = []
  mesh = sharding.data_mesh()
  for name, spec in runs.items():
    path, _, network = spec.partition(':')
    home = expanded(path)
    if '.py' in spec:
      home, network = workdir / name, ''
      config = experiment.resolve(configs.load_spec(spec), list(overrides or []))
      train_and_evaluate(config, home, data_dir, name)
    config = experiment.resolve(read_config(home), past=True)
    trained = load_trained(home, 'best', mesh, config.precision, network=network)
    split = particle_sets.first_images(config, images, data_dir)
    many = particle_sets.loaded(split, mesh)
    one = particle_sets.loaded(split.take(np.array([picture])), mesh)
    attacked = (
      particle_statistics.one_network(trained.net),
      (trained.state.params, trained.state.stats),
      count,
    )
    key, drawn = jax.random.key(config.seed), {}
    threat = experiment.evaluation_threat(config)
    part = config.evaluation.threat
    settings.append(
      f'{name}: {home} {network or "student"}, best, {part.name} eps {radius(part.eps)}, '
      f'{particle_sets.STEPS} steps of {radius(particle_sets.step(threat))}'
    )
    for title, search in searches(threat).items():
      row = particle_statistics.describe(*attacked, many, mesh, search, key)
      if ddof:
        row['ce_std'] *= (count / (count - 1)) ** 0.5
      found[f'{name}, {title}'] = row
      clean, made = particle_statistics.first_particles(*attacked, one, mesh, search, key)
      drawn[title] = made[:, 0]
    if sharding.is_first_process():
      picture_path = workdir / f'{name}.png'
      pictures.rows_of_images(picture_path, clean[0], drawn, _largest(clean[0], drawn))
  table = '\n'.join([_markdown(found, images, count), '', *settings])
  if sharding.is_first_process():
    eps = 0.12
    draw_plane(workdir / 'plane.png', searches(attacks.Linf(eps)), count, eps)
    files.write_json(workdir / 'table1.json', found)
    files.write_text(workdir / 'table1.md', table + '\n')
  say(
    f'\n{table}\n\nwritten to {workdir}: table1.md, plane.png and a picture per network'
  )
  return table


def _check(runs, images, count, picture, ddof, overrides) -> None:
  if not runs:
    raise InputError('no networks; name runs or configs, such as configs/sat.py:digits')
  if count < 2:
    raise InputError(f'particles is {count}; distances need at least 2')
  if images < 1:
    raise InputError(f'images is {images}; it must be at least 1')
  if not 0 <= picture < images:
    raise InputError(
      f'picture is {picture}, but only images 0 to {images - 1} are attacked; name one '
      'of these, or raise images'
    )
  one_of(ddof, (0, 1), 'ddof')
  if overrides and not any('.py' in spec for spec in runs.values()):
    raise InputError(
      f'--config.{overrides[0]} is for configs that are trained here, but all networks '
      'come from finished runs; leave it out'
    )


def _largest(clean: np.ndarray, drawn: Mapping[str, np.ndarray]) -> float:
  """The largest change of a pixel: what the picture of changes is scaled by."""
  return max(float(np.abs(made - clean).max()) for made in drawn.values()) or 1.0


def _markdown(found: Mapping[str, Mapping[str, float]], images: int, count: int) -> str:
  head = [f'{count} particles, {images} images', *(t for t, _ in COLUMNS.values())]
  lines = [head, ['---'] * len(head)]
  for name, row in found.items():
    cells = [f'{scale * row[key]:.3g}' for key, (_, scale) in COLUMNS.items()]
    lines.append([name, *cells])
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
