"""Any file of weights as plain containers of numpy arrays, told by its contents.

PyTorch's two formats, safetensors, our own .npz, and the .npy pairs of DeepMind's JAX
networks; the file's name does not matter. Nothing in the file is executed.
"""

import hashlib
import json
import pathlib
import pickle
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrkd.errors import InputError
from jaxrkd.interop import torch_pickle
from jaxrkd.interop.haiku_pickle import read_npy
from jaxrkd.interop.own_npz import is_own, read_own
from jaxrkd.interop.pickle_machine import Opaque, Refused
from jaxrkd.interop.state_dict import to_state_dict
from jaxrkd.interop.unwrap import CARD
from jaxrkd.paths import expanded

EXPECTED = (
  'expected a PyTorch state_dict (.pt, .pth, .th, .t7), safetensors, an .npz exported here, '
  'or the .npy of a DeepMind network'
)
# Programs without named weights; the beginning of such files says little.
PROGRAMS = {
  '.onnx': 'an ONNX program',
  '.tflite': 'a TensorFlow Lite program',
  '.stablehlo': 'a StableHLO program',
}
# The largest number of channels, classes, blocks or pixels in a row.
LARGEST = 10_000
# How the files begin that are downloaded by mistake.
STRANGERS = (
  (b'version https://git-lfs', 'a Git LFS pointer, which stands for a file elsewhere'),
  (b'\x1f\x8b', 'compressed with gzip; unpack it first'),
  (b'BZh', 'compressed with bzip2; unpack it first'),
  (b'\xfd7zXZ', 'compressed with xz; unpack it first'),
  (b'\x89HDF', 'an HDF5 file'),
)


class WeightsFile(NamedTuple):
  """What a file holds.

  Attributes:
    path: the file.
    kind: 'pytorch', 'safetensors', 'npz' or 'haiku'.
    tree: nested dictionaries and lists with numpy arrays.
    metadata: texts that safetensors carry.
    sha256: of the file's bytes.
  """

  path: pathlib.Path
  kind: str
  tree: Any
  metadata: dict[str, str]
  sha256: str


def read_weights(path: str | pathlib.Path) -> WeightsFile:
  """Reads a file of weights.

  Raises:
    InputError: no such file, a web page or other stranger, cut off, or a pickle that asks
      for code. The sentence says what was found and what was expected.
  """
  path = expanded(path)
  if path.is_dir() or not path.exists():
    what = 'is a folder' if path.is_dir() else 'does not exist'
    raise InputError(f'the file of weights {str(path)!r} {what}; {EXPECTED}')
  metadata: dict[str, str] = {}
  try:
    with path.open('rb') as file:
      head = file.read(512)
      file.seek(0)
      sha256 = hashlib.file_digest(file, 'sha256').hexdigest()
    kind, read = _reader(path, head)
    with warnings.catch_warnings():
      # numpy's, of headers that are odd: what cannot be read is told below.
      warnings.simplefilter('ignore')
      tree = read(path)
    if kind == 'safetensors':
      tree, metadata = tree
    if isinstance(tree, Opaque):
      raise Refused(tree.name)
  except InputError:
    raise
  except Refused as error:
    raise InputError(
      f'{str(path)!r} was not read: its pickle asks for {error}, which is code or an '
      f'object and not a tensor; {EXPECTED}; {torch_pickle.SAVE_AGAIN}'
    ) from error
  except OSError as error:
    raise InputError(
      f'{str(path)!r} cannot be read: {error.strerror or error}'
    ) from error
  except DAMAGE as error:
    reason = str(error)[:200].split('\n')[0] or type(error).__name__
    raise InputError(
      f'{str(path)!r} ({path.stat().st_size:,} bytes) is cut off or damaged ({reason}); '
      f'{EXPECTED}, so download or copy it again'
    ) from error
  return WeightsFile(path, kind, tree, metadata, sha256)


# What readers raise at files that are not whole.
DAMAGE = (
  *(EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, MemoryError),
  *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error),
  # RuntimeError: encrypted archives, endless nesting.
  *(UnicodeDecodeError, OverflowError, RuntimeError, AssertionError, SyntaxError),
  tokenize.TokenError,
)


def _reader(path: pathlib.Path, head: bytes) -> tuple[str, Callable[..., Any]]:
  """The kind of a file, and what reads it."""
  if not head:
    raise InputError(f'{str(path)!r} is empty; {EXPECTED}')
  text = head.lstrip().lower()
  if text.startswith((b'<!doctype', b'<html', b'<?xml', b'<head')):
    raise InputError(
      f'{str(path)!r} is a web page (HTML), not weights: the link led to a page around the '
      f'file; {EXPECTED}, so download the file itself'
    )
  for start, what in STRANGERS:
    if head.startswith(start):
      raise InputError(f'{str(path)!r} is {what}; {EXPECTED}')
  if path.suffix in PROGRAMS or head[4:8] == b'TFL3':
    what = PROGRAMS.get(path.suffix, PROGRAMS['.tflite'])
    raise InputError(
      f'{str(path)!r} is {what}, whose weights have lost their names (BatchNorm is folded '
      f'into them); {EXPECTED}, so export the network to .safetensors or .npz as well'
    )
  if head.startswith(b'PK') and is_own(path):
    return 'npz', _read_npz
  if head.startswith(b'PK'):
    return 'pytorch', torch_pickle.read_zip
  if head.startswith(b'\x93NUMPY'):
    return 'haiku', read_npy
  # The length of its head may begin like a pickle, whose first bytes are no such length.
  whole = int.from_bytes(head[:8], 'little') <= path.stat().st_size - 8
  if head.startswith(b'\x80') and not (whole and head[8:9] == b'{'):
    return 'pytorch', torch_pickle.read_legacy
  if len(head) > 8 and head[8:9] == b'{':
    return 'safetensors', _read_safetensors
  shown = head[:16]
  raise InputError(
    f'{str(path)!r} begins with {shown!r} and is no known kind; {EXPECTED}'
  )


def _read_npz(path: pathlib.Path) -> dict[str, Any]:
  params, stats, card = read_own(path)
  return {**to_state_dict(params, stats), CARD: json.dumps(card)}


def _read_safetensors(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
  import safetensors

  def array(name: str) -> np.ndarray:
    try:
      return file.get_tensor(name)
    except TypeError:  # numpy alone does not know bfloat16
      return np.asarray(other.get_tensor(name))

  try:
    opened = safetensors.safe_open
    with opened(path, 'numpy') as file, opened(path, 'flax') as other:
      tree = {name: array(name) for name in file.keys()}  # noqa: SIM118
      return tree, file.metadata() or {}
  except safetensors.SafetensorError as error:
    raise ValueError(error) from error


def own_card(found: WeightsFile) -> tuple[dict[str, Any], str]:
  """What an export of ours says about the network in it, and what is wrong with that.

  Both are empty for other files; a card that is not whole is not taken in part.
  """
  text = found.metadata.get(CARD, '')
  if not text and isinstance(found.tree, dict):
    text = found.tree.get(CARD, '')
  if not text:
    return {}, ''
  try:
    card = json.loads(text) if isinstance(text, str) else None
    if _is_card(card):
      return card, ''
  except (ValueError, RecursionError, *NOT_AS_EXPECTED):
    pass
  return {}, f'the card {CARD!r} in the file is damaged, and nothing was taken from it'


# What is raised where something is of another type than was thought.
NOT_AS_EXPECTED = (TypeError, KeyError, AttributeError, IndexError)


def _is_card(card: Any) -> bool:
  """Whether a card has all that is read of one, in sizes that a network may have."""
  network, config, measured = card['network'], card['config'], card.get('measured')
  numbers = [x for x in jax.tree.leaves(network) if isinstance(x, int | float)]
  shape = card['image_shape']
  sizes = [card['classes'], *shape]
  evaluation = config['evaluation']
  if measured:
    sizes.append(len(measured['attack']['column']))
    numbers += [float(measured['clean']), float(measured['robust'])]
  return (
    all(isinstance(x, dict) for x in (network, config['data'], evaluation['threat']))
    and all(isinstance(row, dict) for row in evaluation['attacks'].values())
    and isinstance(network['name'], str)
    and len(shape) == 3
    and all(isinstance(x, int) and 0 < x <= LARGEST for x in sizes)
    and all(-LARGEST <= x <= LARGEST for x in numbers)
  )
