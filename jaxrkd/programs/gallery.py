"""Draws the first test images of a run under every attack, or some.

Usage: jaxrkd gallery --workdir=runs/mtard_digits
       jaxrkd gallery --workdir=runs/sat --attacks=fog,snow,gabor --images=10

The picture is `gallery.png` in the run's workdir; wrong images have a red frame. The
attacks of the run's evaluation keep their settings. All others have their defaults, and
the eps of that evaluation.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from jaxrkd import experiment
from jaxrkd.attacks import ATTACKS, example_keys
from jaxrkd.errors import InputError, choose, in_range
from jaxrkd.experiment.load import load_trained, read_config
from jaxrkd.paths import expanded
from jaxrkd.programs import command_line
from jaxrkd.report import pictures
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list('attacks', [], 'Names of attacks; all if empty.')
  flags.DEFINE_string('network', '', 'One of several networks; empty takes the student.')
  flags.DEFINE_integer('images', 8, 'Test images to draw.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  if overrides:
    raise InputError(f'--config.{overrides[0]}: a gallery takes no config keys')
  found = flags.FLAGS
  workdir = pathlib.Path(command_line.required_workdir())
  gallery(
    workdir,
    workdir / 'gallery.png',
    names=found.attacks,
    images=found.images,
    network=found.network,
    data_dir=found.data_dir,
  )


def gallery(
  run: str | pathlib.Path,
  path: str | pathlib.Path,
  *,
  names: list[str] | None = None,
  images: int = 8,
  network: str = '',
  data_dir: str = '',
) -> dict[str, float]:
  """Draws the first test images of a run under attacks.

  Attacks of the run's evaluation have its settings, all others their defaults.

  Args:
    run: workdir of a finished run.
    path: of the PNG.
    names: of attacks; empty takes all.
    images: how many.
    network: one of several that the run trained together; empty takes its student.
    data_dir: where TFDS data lie.

  Returns:
    Name -> share of these images that are still classified correctly.

  Raises:
    InputError: not a run, an unknown attack, or more images than there are.
  """
  run, path = expanded(run), expanded(path)
  config = experiment.resolve(read_config(run), past=True)
  own = experiment.evaluation_attacks(config)
  for name in names or []:
    choose({**experiment.EVALUATIONS, **own}, name, 'attack')
  test = experiment.dataset(config, data_dir).test
  in_range(images, 1, len(test), 'images')
  mesh = sharding.data_mesh()
  trained = load_trained(run, 'best', mesh, config.precision, network=network)
  split = test.take(np.arange(images))
  clean = jnp.asarray(split.image / 255, jnp.float32)
  labels = jnp.asarray(split.label)
  logits_fn = trained.net.logits_fn(trained.state.params, trained.state.stats)
  threat = experiment.evaluation_threat(config)
  keys = example_keys(jax.random.key(config.seed), jnp.asarray(split.index))
  right: dict[str, float] = {}
  rows: dict[str, list[np.ndarray]] = {}
  wrong: dict[str, np.ndarray] = {}
  # The parts of a cascade are drawn by themselves.
  every = (n for n in dict.fromkeys([*experiment.EVALUATIONS, *own]) if n != 'autoattack')
  for name in names or every:
    attack = own.get(name)
    if attack is None:
      row = experiment.EVALUATIONS[name]
      attack = row(threat) if name in ATTACKS else row()
    try:
      made = jax.jit(attack, static_argnums=1)(keys, logits_fn, clean, labels)
    except InputError as error:
      # Such as JPEG on images that are no multiples of its blocks.
      if names:
        raise
      say(f'{name}: left out, because {error}')
      continue
    fails = np.asarray(logits_fn(made).argmax(-1) != labels)
    right[name] = 1 - float(fails.mean())
    title = f'{name}: {100 * right[name]:.0f} % right'
    rows[title], wrong[title] = list(np.asarray(made)), fails
    say(f'{name}: {100 * right[name]:.0f} % of {images} images right')
  if sharding.is_first_process():
    pictures.gallery(path, list(np.asarray(clean)), rows, wrong)
  say(f'written to {path}')
  return right
