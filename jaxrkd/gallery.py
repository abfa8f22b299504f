"""What every attack makes of a few images, as one picture."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxrkd import build, pictures
from jaxrkd.attacks import ATTACKS, THREATS, UNFORESEEN, example_keys
from jaxrkd.errors import InputError, choose
from jaxrkd.runtime import sharding
from jaxrkd.runtime.progress import say
from jaxrkd.train.load import load_trained, read_config

EVERY = {**ATTACKS, **UNFORESEEN}


def gallery(
  run: str | pathlib.Path,
  path: str | pathlib.Path,
  *,
  names: list[str] | None = None,
  images: int = 8,
  data_dir: str = '',
) -> dict[str, float]:
  """Draws the first test images of a run under attacks.

  Attacks of the run's evaluation have its settings, all others their defaults.

  Args:
    run: workdir of a finished run.
    path: of the PNG.
    names: of attacks; empty takes all.
    images: how many.
    data_dir: where TFDS data lie.

  Returns:
    Name -> share of these images that are still classified correctly.

  Raises:
    InputError: not a run, an unknown attack, or no images.
  """
  for name in names or []:
    choose(EVERY, name, 'attack')
  run, path = pathlib.Path(run), pathlib.Path(path)
  if images < 1:
    raise InputError(f'images is {images}; it must be at least 1')
  config = build.resolve(read_config(run))
  trained = load_trained(run, 'best', sharding.data_mesh(), config.precision)
  split = build.dataset(config, data_dir).test.take(np.arange(images))
  clean = jnp.asarray(split.image / 255, jnp.float32)
  labels = jnp.asarray(split.label)
  logits_fn = trained.net.logits_fn(trained.state.params, trained.state.stats)
  node = config.evaluation.threat
  threat = THREATS[node.name](node.eps)
  keys = example_keys(jax.random.key(config.seed), jnp.asarray(split.index))
  own = build.evaluation_attacks(config)
  right: dict[str, float] = {}
  rows: dict[str, list[np.ndarray]] = {}
  for name in names or EVERY:
    attack = own.get(name) or (EVERY[name](threat) if name in ATTACKS else EVERY[name]())
    made = jax.jit(attack, static_argnums=1)(keys, logits_fn, clean, labels)
    right[name] = float((logits_fn(made).argmax(-1) == labels).mean())
    rows[f'{name}: {100 * right[name]:.0f} % right'] = list(np.asarray(made))
    say(f'{name}: {100 * right[name]:.0f} % of {images} images right')
  if sharding.is_first_process():
    pictures.gallery(path, list(np.asarray(clean)), rows)
  say(f'written to {path}')
  return right
