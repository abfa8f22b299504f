"""Accuracy of a run under the corruptions of CIFAR-10-C, and its mean error.

Usage: jaxrkd corruptions --workdir=runs/mtard --images=1000
       jaxrkd corruptions --workdir=runs/mtard --path=CIFAR-10-C
       jaxrkd corruptions --workdir=runs/mtard --corruptions=fog,snow --checkpoint=ema

Without --path the corruptions are made here, of the run's test images, which must be
32x32x3; all but frost, which needs the authors' photographs, and spatter. The numbers are in
corruptions.json of the run, and on its page.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from jaxrkd import experiment
from jaxrkd.data import Split
from jaxrkd.data.cifar10_corrupted import corrupted as published
from jaxrkd.data.corruptions import CORRUPTIONS, SHAPE, corrupted
from jaxrkd.errors import InputError, choose, one_of, whole_number
from jaxrkd.evaluate.corruption_accuracy import COUNTED, corruption_accuracy, table
from jaxrkd.evaluate.robustness import evaluate_clean, load_split
from jaxrkd.evaluate.task import Subject
from jaxrkd.experiment import run_report
from jaxrkd.experiment.load import load_trained, read_config
from jaxrkd.paths import expanded
from jaxrkd.programs import command_line
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.progress import say

# Cosine of an image and itself, brighter; others are further apart.
ALIKE = 0.9


def define() -> None:
  """Defines the flags."""
  flags.DEFINE_list('corruptions', [], 'Names; empty takes those that the mean counts.')
  flags.DEFINE_string(
    'path', '', "Folder with CIFAR-10-C's arrays; empty makes them here."
  )
  flags.DEFINE_integer('images', 0, 'Test images; 0 takes all.')
  flags.DEFINE_string('checkpoint', 'best', 'best, last, ema or swa.')


def main(overrides: list[str]) -> None:
  """The program; see the top of this file."""
  found = flags.FLAGS
  if overrides:
    raise InputError(f'--config.{overrides[0]}: corruptions take no config keys')
  one_of(found.checkpoint, ('best', 'last', 'ema', 'swa'), '--checkpoint')
  whole_number(found.images, 0, '--images')
  measure(
    command_line.required_workdir(),
    names=found.corruptions,
    path=command_line.home(found.path),
    images=found.images,
    checkpoint=found.checkpoint,
    data_dir=found.data_dir,
  )


def measure(
  run: str | pathlib.Path,
  *,
  names: Sequence[str] = (),
  path: str = '',
  images: int = 0,
  checkpoint: str = 'best',
  data_dir: str = '',
) -> dict[str, Any]:
  """Measures a run's student, prints the table and keeps it.

  Args:
    run: workdir of a finished run, or of an import.
    names: of corruptions; empty takes those of `COUNTED` that there are.
    path: folder with CIFAR-10-C's arrays; empty makes them.
    images: how many test images; 0 takes all.
    checkpoint: 'best', 'last', 'ema' or 'swa'.
    data_dir: where TFDS data lie.

  Raises:
    InputError: not a run, no such corruption, images of another form, or arrays of other
      images.
  """
  home = expanded(run)
  config = experiment.resolve(read_config(home), past=True)
  if not path:
    for name in names:
      choose(CORRUPTIONS, name, 'corruption', '; frost and spatter need --path')
  data = experiment.dataset(config, data_dir)
  if data.image_shape != SHAPE:
    raise InputError(
      f'{data.name} has images {list(data.image_shape)}; the corruptions are published for '
      f'{list(SHAPE)}: name a run on such images'
    )
  mesh = sharding.data_mesh()
  trained = load_trained(home, checkpoint, mesh, 'float32')
  if trained.networks is None:
    raise InputError(
      f'{str(home)!r} is an ensemble of {config.members} runs; name one of them, such as '
      f'{str(home / "members" / "0")!r}'
    )
  subject = Subject(trained.net, (trained.state.params, trained.state.stats))
  split = data.test.take(
    np.arange(min(images, len(data.test)) if images else len(data.test))
  )
  made = _published(path, split) if path else _made(split, config.seed)
  key = jax.random.key(config.seed)

  def right(image: np.ndarray) -> np.ndarray:
    own = Split(image, split.label, split.index)
    loaded = load_split(own, config.evaluation.batch_size, mesh)
    return evaluate_clean(subject, loaded, key).right(own.label)

  usual = [name for name in COUNTED if path or name in CORRUPTIONS]
  say(f'{len(split)} images, {"published" if path else "made here"}; accuracy in %')
  found = corruption_accuracy(right, split.image, made, names or usual, say)
  found |= {
    'source': 'published' if path else 'made here',
    'checkpoint': checkpoint,
    'step': trained.record.step,
    'data': data.name,
  }
  say(f'\n{table(found)}')
  if sharding.is_first_process():
    files.write_json(home / run_report.CORRUPTIONS, found)
    if (home / 'results.json').is_file():
      say(f'report: {run_report.write(home, home / "results.json")}')
  return found


def _made(split: Split, seed: int) -> Callable[[str, int], np.ndarray]:
  image = np.asarray(split.image)
  return lambda name, severity: corrupted(image, name, severity, split.index, seed)


def _published(path: str, split: Split) -> Callable[[str, int], np.ndarray]:
  """The arrays, in the order of the run's test images.

  TFDS and the published arrays have CIFAR's test images in other orders: the corruption that
  changes them least tells which is which.
  """
  base = published(path, 'brightness', 1)
  order = _matched(np.asarray(split.image), base.image)
  if (base.label[order] != split.label).any():
    raise InputError(
      f"{path!r} holds other images than the run's test images: their labels differ; give "
      'CIFAR-10-C for a run on CIFAR-10'
    )

  def of(name: str, severity: int) -> np.ndarray:
    return published(path, name, severity).image[order]

  return of


def _matched(images: np.ndarray, others: np.ndarray) -> np.ndarray:
  """Which of the others is nearest to each image, up to brightness."""

  def small(batch: np.ndarray) -> np.ndarray:
    means = batch.reshape(len(batch), 8, 4, 8, 4, 3).astype(np.float32).mean((2, 4, 5))
    flat = means.reshape(len(batch), -1)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)

  mine, theirs = small(images), small(others)
  pieces = np.array_split(np.arange(len(mine)), max(len(mine) // 1000, 1))
  near = [mine[rows] @ theirs.T for rows in pieces]
  found = np.concatenate([each.argmax(1) for each in near])
  likeness = np.concatenate([each.max(1) for each in near])
  if len(np.unique(found)) < len(found) or likeness.min() < ALIKE:
    raise InputError(
      "the corrupted images are not those of the run's test images: some are like none, or "
      'several like one; give CIFAR-10-C for a run on CIFAR-10'
    )
  return found
