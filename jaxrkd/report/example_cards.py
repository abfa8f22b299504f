"""Cards of a few images: as they are, attacked, and the change, with both predictions."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.report import pictures
from jaxrkd.report.markup import text

# Pixels of an edge: larger images are shown with fewer, which keeps pages small.
LARGEST = 96


class Examples(NamedTuple):
  """A few images of a split under one attack.

  Attributes:
    attack: its name.
    threat: the ball, in words.
    eps: its radius.
    label: int [K].
    clean_prediction: int [K].
    adversarial_prediction: int [K].
    robust: bool [K], whether the network withstood the attack.
    image: uint8 [K, H, W, C].
    adversarial: float [K, H, W, C] in [0, 1].
  """

  attack: str
  threat: str
  eps: float
  label: np.ndarray
  clean_prediction: np.ndarray
  adversarial_prediction: np.ndarray
  robust: np.ndarray
  image: np.ndarray
  adversarial: np.ndarray


def cards(
  examples: Examples | None, names: Sequence[str], row: Mapping[str, Any] | None = None
) -> list[str]:
  """The part of a page with the images; empty where none were kept.

  Args:
    examples: the images.
    names: of the classes; empty shows their numbers.
    row: of the network, for what the attack did to all images; see `results.summarize`.
  """
  if examples is None:
    return []
  clean = examples.image / 255
  changes = examples.adversarial - clean
  # Grey is no change; the largest change of all these images is black or white.
  largest = max(float(np.abs(changes).max()), 1e-9)
  shown = []
  for k in range(len(examples.label)):
    pictured = [
      _picture(clean[k], 'image'),
      _picture(examples.adversarial[k], 'attacked'),
      _picture(0.5 + changes[k] / (2 * largest), 'change'),
    ]
    shown.append(
      f'<div class="card"><div>{"".join(pictured)}</div>{_told(examples, k, names)}</div>'
    )
  broken = int((~examples.robust).sum())
  return [
    '<h2>Images and their attacks</h2>',
    f'<p>The first images of each class that are right without an attack: as they are, under '
    f'{text(examples.attack)} in {text(examples.threat)}, and the change, made '
    f'{0.5 / largest:.3g} times as large. The attack broke {broken} of these '
    f'{len(examples.label)}{_of_all(examples, row)}.</p>',
    f'<div class="cards">{"".join(shown)}</div>',
  ]


def _of_all(examples: Examples, row: Mapping[str, Any] | None) -> str:
  """What the attack did to all images that are right, where that is known."""
  seen = row['attacks'].get(examples.attack) if row else None
  if not row or not seen or not row['clean']:
    return ''
  return f', and {100 * (1 - seen["robust"] / row["clean"]):.0f} % of all that are right'


def _told(examples: Examples, k: int, names: Sequence[str]) -> str:
  def name(number: int) -> str:
    return text(names[number] if number < len(names) else f'class {number}')

  own = name(examples.clean_prediction[k])
  if examples.robust[k]:
    return f'<p>{own}: <span class="good">stays {own}</span></p>'
  other = name(examples.adversarial_prediction[k])
  return f'<p>{own}: <span class="bad">taken for {other}</span></p>'


def _picture(pixels: np.ndarray, what: str) -> str:
  """An image [H, W, C] with values in [0, 1] as part of a page."""
  every = -(-max(pixels.shape[:2]) // LARGEST)
  data = base64.b64encode(pictures.png(pixels[::every, ::every])).decode()
  return f'<img alt="{what}" title="{what}" src="data:image/png;base64,{data}">'
