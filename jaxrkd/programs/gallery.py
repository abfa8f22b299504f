"""Draws the first test images of a run under every attack, or some.

Usage: jaxrkd gallery --workdir=runs/mtard_digits
       jaxrkd gallery --workdir=runs/sat --attacks=fog,snow,gabor --images=10
       jaxrkd gallery --workdir=runs/sat --attacks=pgd --images=100 --png=adversarial

The picture is `gallery.png` in the run's workdir; wrong images have a red frame. The
attacks of the run's evaluation keep their settings. All others have their defaults, and
the eps of that evaluation. --png also writes each image that is adversarial as a PNG file,
rounded to 8 bits, with the clean one beside it; index.csv in that folder lists them. Images
that the network is right about after the rounding are left out.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from jaxrkd import experiment
from jaxrkd.attacks import ATTACKS, example_keys
from jaxrkd.errors import InputError, choose, in_range
from jaxrkd.evaluate.eight_bits import eight_bits
from jaxrkd.experiment import png_files
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
  flags.DEFINE_string(
    'png', '', 'Folder for adversarial images as PNG files; empty writes none.'
  )


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
    png=command_line.home(found.png),
    data_dir=found.data_dir,
  )


def gallery(
  run: str | pathlib.Path,
  path: str | pathlib.Path,
  *,
  names: list[str] | None = None,
  images: int = 8,
  network: str = '',
  png: str = '',
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
    png: folder for those that are adversarial in 8 bits; empty writes none.
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
  whole: dict[str, tuple[np.ndarray, np.ndarray]] = {}
  # The parts of a cascade are drawn by themselves; the slowest attack only if it is named.
  known = dict.fromkeys([*experiment.EVALUATIONS, *own])
  every = (n for n in known if n not in ('autoattack', 'cw_l2') or n in own)
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
    if png:
      kept = eight_bits(np.asarray(made), np.asarray(clean))
      seen = logits_fn(jnp.asarray(kept / 255, jnp.float32)).argmax(-1)
      whole[name] = kept, np.asarray(seen)
    say(f'{name}: {100 * right[name]:.0f} % of {images} images right')
  if sharding.is_first_process():
    pictures.gallery(path, list(np.asarray(clean)), rows, wrong)
    if png:
      written = png_files.write(
        expanded(png),
        np.asarray(clean),
        split.label,
        np.asarray(logits_fn(clean).argmax(-1) == labels),
        split.index,
        whole,
        test.names,
      )
      say(f'{len(written)} adversarial images of 8 bits in {png}')
  say(f'written to {path}')
  return right
