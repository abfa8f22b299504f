"""Adversarial images as files of 8 bits: those that are still adversarial there."""

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.runtime import files

COLUMNS = ('file', 'clean_file', 'attack', 'index', 'label', 'prediction')


def rounded(images: np.ndarray) -> np.ndarray:
  """Images in [0, 1] as a PNG keeps them, uint8."""
  return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def write(
  folder: pathlib.Path,
  clean: np.ndarray,
  labels: np.ndarray,
  index: np.ndarray,
  found: Mapping[str, tuple[np.ndarray, np.ndarray]],
  names: Sequence[str] = (),
) -> list[dict[str, Any]]:
  """Writes images that a network takes for another class, and the clean ones beside them.

  Args:
    folder: for `clean/`, a folder for each attack, and index.csv.
    clean: [N, H, W, C] in [0, 1], with 1 or 3 channels.
    labels: [N].
    index: [N], place in the source: the name of the files.
    found: attack -> (images [N, H, W, C] uint8, predictions [N] on these very images).
    names: of the classes; empty shows numbers.

  Returns:
    The rows of index.csv.

  Raises:
    InputError: images that a PNG cannot hold, or a folder that cannot be written.
  """
  from PIL import Image

  if clean.shape[-1] not in (1, 3):
    raise InputError(
      f'images have {clean.shape[-1]} channels, and a PNG holds 1 or 3; leave out --png'
    )
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
    for place in map(int, np.flatnonzero(predictions != np.asarray(labels))):
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
  files.write_text(folder / 'index.csv', told.getvalue())
  return rows
