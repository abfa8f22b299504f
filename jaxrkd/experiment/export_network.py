"""A trained network as a file that other run times read, measured there before it counts."""

import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import jaxrkd
from jaxrkd.errors import OWN_ROW, InputError, choose, whole_number
from jaxrkd.experiment import make
from jaxrkd.experiment.export_check import (
  CheckImages,
  calibration_images,
  check_images,
  logits_of,
)
from jaxrkd.experiment.latency import latency
from jaxrkd.experiment.load import Trained, chosen, load_trained, read_config
from jaxrkd.experiment.places import without_folders
from jaxrkd.experiment.quantised_check import QueryAttack, query_accuracy
from jaxrkd.experiment.resolve import resolve
from jaxrkd.interop.formats import FORMATS, Format, Student
from jaxrkd.models.named import network_options
from jaxrkd.models.normalisation import constants
from jaxrkd.paths import expanded
from jaxrkd.runtime import files, sharding
from jaxrkd.runtime.precision import float32_products
from jaxrkd.runtime.progress import say

# Of the largest logit: float32 rounding in another order stays well below.
TOLERANCE = 1e-3


def export(
  run: str | pathlib.Path,
  paths: Sequence[str | pathlib.Path],
  *,
  network: str = '',
  checkpoint: str = 'best',
  images: int = 1000,
  check: bool = True,
  calibration: int = 256,
  queries: int = 200,
  query_images: int = 100,
  data_dir: str = '',
) -> dict[str, dict[str, Any]]:
  """Writes one network of a run to files, by their endings (`formats.FORMATS`).

  Every file is read again by its own run time, on the first test images and on adversarial
  ones that are made once and kept in the run. What that finds, and the config, is the card:
  inside the file where the format has a place for it, and in FILE.json beside it.

  Args:
    run: workdir of a finished run, or of an import.
    paths: of the files.
    network: one of several that the run trained together; empty takes its student.
    checkpoint: 'best', 'last', 'ema' or 'swa'.
    images: how many test images to measure on; 0 takes all.
    check: False writes the files without measuring them, and their cards say so.
    calibration: training images on which files in integers find their ranges.
    queries: of the query attack on files in integers, for each image.
    query_images: how many images that attack is tried on.
    data_dir: where TFDS data lie.

  Returns:
    The cards, by path.

  Raises:
    InputError: not a run, no such network or checkpoint, an ensemble of runs, an unknown
      ending, a package that is missing, or an export that answers differently.
  """
  whole_number(calibration, 1, '--calibration')
  whole_number(queries, 1, '--queries')
  whole_number(query_images, 1, '--query_images')
  run = expanded(run)
  formats = {path: _format_of(path) for path in map(expanded, paths)}
  for path, row in formats.items():
    row.check(path, run=check)
    files.check_writable(path.parent)
  for row in formats.values():
    row.check_network(_network_row(run, network))
  found = load_trained(run, checkpoint, sharding.data_mesh(), 'float32', network=network)
  student, card = student_and_card(found, run, network, checkpoint)
  config, seen = resolve(found.config), None
  if any(row.quantised for row in formats.values()):
    shown = calibration_images(config, calibration, data_dir)
    student = student._replace(calibration=shown)
    card['calibration_images'] = len(shown)
  attack = QueryAttack(make.evaluation_threat(config), queries, query_images, config.seed)
  if check:
    variables = student.variables
    seen = check_images(config, student.net, variables, run / 'export', images, data_dir)
  return {
    str(path): _export_one(path, row, student, card, seen, attack)
    for path, row in formats.items()
  }


def student_and_card(
  found: Trained, run: pathlib.Path, network: str, checkpoint: str
) -> tuple[Student, dict[str, Any]]:
  """What is written of a network, and what is written about it, before it is measured.

  Args:
    found: the trained network.
    run: its workdir.
    network: one of several; empty takes the student.
    checkpoint: which was loaded.

  Raises:
    InputError: an ensemble of runs.
  """
  if found.networks is None:
    raise InputError(
      f'{str(run)!r} is an ensemble of {found.config.members} runs; take one of them, '
      f'such as {str(run / "members" / "0")!r}'
    )
  name = network or chosen(found.networks, found.record)
  return _student(found, name), _card(found, run, name, checkpoint)


def _format_of(path: pathlib.Path) -> Format:
  if path.is_dir() or not path.suffix:
    what = 'is a folder' if path.is_dir() else 'has no ending'
    raise InputError(
      f'{str(path)!r} {what}; name a file whose ending says the format: '
      f'{", ".join(FORMATS)}'
    )
  longest = sorted(FORMATS, key=len, reverse=True)
  found = next((ending for ending in longest if path.name.endswith(ending)), path.suffix)
  return choose(FORMATS, found, 'ending of a file', OWN_ROW)


def _network_row(run: pathlib.Path, network: str) -> str:
  """The row of the network that is exported."""
  config = read_config(run)
  nodes = make.network_nodes(config, make.method(config))
  # Equal students are of one row.
  return nodes.get(network or 'student', config.student).name


def _student(found: Trained, name: str) -> Student:
  nodes = make.network_nodes(found.config, make.method(found.config))
  variables = (found.state.params, found.state.stats)
  height, width, channels = found.record.image_shape
  # With the defaults of keys that are newer than the run.
  node = network_options(nodes[name].to_dict())
  return Student(
    found.net, variables, node, found.record.classes, (height, width, channels)
  )


def _card(
  found: Trained, run: pathlib.Path, name: str, checkpoint: str
) -> dict[str, Any]:
  nodes = make.network_nodes(found.config, make.method(found.config))
  node = network_options(nodes[name].to_dict())
  shape = list(found.record.image_shape)
  mean, std = constants(
    node['normalisation'], tuple(node['mean']), tuple(node['std']), shape[-1]
  )
  # Folders are this machine's.
  config = json.loads(found.config.to_json())
  without_folders(config)
  return {
    'jaxrkd': jaxrkd.__version__,
    'network': node,
    'classes': found.record.classes,
    'image_shape': shape,
    'mean': list(mean),
    'std': list(std),
    'data': found.config.data.name,
    'run': run.resolve().name,
    'name': name,
    'checkpoint': checkpoint,
    'step': found.record.step,
    'config': config,
    **({'note': found.net.note} if found.net.note else {}),
  }


def _export_one(
  path: pathlib.Path,
  row: Format,
  student: Student,
  card: Mapping[str, Any],
  seen: CheckImages | None,
  attack: QueryAttack,
) -> dict[str, Any]:
  """Writes a file, measures it, writes it again with what was found."""
  own = {**card, 'inputs': row.inputs, 'runtime': row.version()}
  own['measured'] = None
  # Under another name, so that a good file of before stays until a better one is there.
  trial = path.with_name(f'.{path.stem}.new{path.suffix}')
  try:
    with files.writing(path):
      row.write(trial, student, own)
    if seen is not None:
      own['measured'] = _measure(trial, path, row, student, seen, attack)
      with files.writing(path):
        row.write(trial, student, own)
    with files.writing(path):
      os.replace(trial, path)
  finally:
    trial.unlink(missing_ok=True)
  files.write_json(path.with_name(f'{path.name}.json'), own)
  _tell(path, own)
  return own


def _measure(
  trial: pathlib.Path,
  path: pathlib.Path,
  row: Format,
  student: Student,
  seen: CheckImages,
  attack: QueryAttack,
) -> dict[str, Any]:
  """Accuracies of the file in its own run time, and how far it is from the network here."""
  predict = row.load(trial)
  apply = jax.jit(student.net.apply)

  def ours(images):
    with float32_products():
      return apply(*student.variables, images)

  found: dict[str, Any] = {**seen.about, 'runtime': row.version()}
  everywhere = np.ones(len(seen.label), bool)
  for what, images, tried in (
    ('clean', seen.clean, everywhere),
    # What nothing was tried on is not robust, also where the file is right on it.
    ('robust', seen.adversarial, seen.correct),
  ):
    here, there = logits_of(ours, images), logits_of(predict, images)
    far = float(np.abs(here - there).max())
    size = float(np.abs(here).max())
    if not row.quantised and not far <= TOLERANCE * max(size, 1.0):
      raise InputError(
        f'{str(path)!r} was not kept: in {row.version()} its logits differ by {far:.3g} '
        f'from those of jaxrkd (largest {size:.3g}), more than rounding; choose another '
        'format, and please report this with the network that was exported'
      )
    found[what] = float(np.mean((there.argmax(-1) == seen.label) & tried))
    found[f'{what}_here'] = float(np.mean((here.argmax(-1) == seen.label) & tried))
    found[f'{what}_same_predictions'] = int(np.sum(there.argmax(-1) == here.argmax(-1)))
    found[f'{what}_largest_difference'] = far
  found['bytes'] = trial.stat().st_size
  found |= latency(predict, seen.clean)
  if row.quantised:
    file, network = (functools.partial(logits_of, f) for f in (predict, ours))
    found |= query_accuracy(file, network, seen, student.classes, attack)
  return found


def _tell(path: pathlib.Path, card: Mapping[str, Any]) -> None:
  size = path.stat().st_size / 2**20
  found = card['measured']
  told = 'not measured'
  if found:
    same = min(found['clean_same_predictions'], found['robust_same_predictions'])
    told = (
      f'{found["runtime"]}: {100 * found["clean"]:.2f} % clean, '
      f'{100 * found["robust"]:.2f} % under {found["attack"]["column"]} on '
      f'{found["images"]} test images, the predictions of jaxrkd on {same} of them; '
      f'{found["ms_per_image"]["1"]:.3g} ms an image'
    )
    if 'query' in found:
      told += (
        f'. Square with {found["queries"]} queries, first {found["query_images"]} images: '
        f'{100 * found["query"]:.2f} % (float network {100 * found["query_here"]:.2f} %), with '
        f'the transferred images {100 * found["worst"]:.2f} %: an upper bound, for no attack '
        'follows gradients in integers'
      )
  say(f'{card["name"]} {card["checkpoint"]} -> {path} ({size:.2f} MiB); {told}')
  if card.get('note'):
    say(f'note: {card["note"]}')
