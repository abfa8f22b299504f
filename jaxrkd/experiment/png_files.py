"""Adversarial images as files of 8 bits: those that are still adversarial there."""

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.runtime import files

INDEX = 'index.csv'
COLUMNS = ('file', 'clean_file', 'attack', 'index', 'label', 'prediction')


def rounded(images: np.ndarray) -> np.ndarray:
  """Clean images in [0, 1] as a PNG keeps them, uint8."""
  return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def write(
  folder: pathlib.Path,
  clean: np.ndarray,
  labels: np.ndarray,
  correct: np.ndarray,
  index: np.ndarray,
  found: Mapping[str, tuple[np.ndarray, np.ndarray]],
  names: Sequence[str] = (),
) -> list[dict[str, Any]]:
  """Writes images that a network takes for another class, and the clean ones beside them.

  Args:
    folder: for `clean/`, a folder for each attack, and index.csv. Files of an earlier call go.
    clean: [N, H, W, C] in [0, 1], with 1 or 3 channels.
    labels: [N].
    correct: [N] bool, whether the network is right on the clean image in 8 bits; what is
      wrong without an attack is not adversarial.
    index: [N], place in the source: the name of the files.
    found: attack -> (images [N, H, W, C] uint8, predictions [N] on these very images).
    names: of the classes; empty shows numbers.

  Returns:
    The rows of index.csv.

  Raises:
    InputError: images that a PNG cannot hold, or a folder that cannot be written or holds
      something else.
  """
  from PIL import Image

  if clean.shape[-1] not in (1, 3):
    raise InputError(
      f'images have {clean.shape[-1]} channels, and a PNG holds 1 or 3; leave out --png'
    )
  _clear(folder)
  called = lambda number: names[number] if number < len(names) else str(number)
  squeezed = lambda image: image[..., 0] if image.shape[-1] == 1 else image

  def save(name: str, image: np.ndarray) -> None:
    content = io.BytesIO()
    Image.fromarray(squeezed(image)).save(content, 'PNG')
    path = folder / name
    files.make_folder(path.parent)
    with files.replacing(path) as temporary:
      temporary.write_bytes(content.getvalue())

  rows: list[dict[str, Any]] = []
  kept = set()
  for attack, (images, predictions) in found.items():
    for place in map(int, np.flatnonzero(correct & (predictions != np.asarray(labels)))):
      name, original = (f'{part}/{index[place]:06d}.png' for part in (attack, 'clean'))
      save(name, images[place])
      if place not in kept:
        save(original, rounded(clean[place]))
        kept.add(place)
      words = called(int(labels[place])), called(int(predictions[place]))
      rows.append(dict(zip(COLUMNS, (name, original, attack, int(index[place]), *words))))
  told = io.StringIO()
  table = csv.DictWriter(told, COLUMNS, lineterminator='\n')
  table.writeheader()
  table.writerows(rows)
  files.make_folder(folder)
  files.write_text(folder / INDEX, told.getvalue())
  return rows


def _clear(folder: pathlib.Path) -> None:
  """Removes what an earlier call wrote, which its index lists."""
  there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
  if there and INDEX not in there:
    raise InputError(
      f'{str(folder)!r} holds other files, such as {there[0]!r}; name an empty folder, or one '
      'that --png wrote before'
    )
  if not there:
    return
  rows = csv.DictReader(io.StringIO((folder / INDEX).read_text(encoding='utf-8')))
  listed = {row[key] for row in rows for key in COLUMNS[:2] if row.get(key)}
  # A name that leads elsewhere is none that was written here.
  for name in (name for name in listed if '..' not in pathlib.PurePath(name).parts):
    if not pathlib.PurePath(name).is_absolute():
      (folder / name).unlink(missing_ok=True)
