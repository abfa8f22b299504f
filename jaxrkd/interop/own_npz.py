"""The arrays of our own .npz exports, which `formats.npz` writes."""

import json
import pathlib
import struct
import tokenize
import zipfile
import zlib
from typing import Any

import numpy as np

from jaxrkd.commands import command
from jaxrkd.errors import InputError
from jaxrkd.interop.torch_pickle import check_unpacked

Tree = Any
CARD = 'network'
# What zipfile and numpy raise at archives that are not whole.
DAMAGE = (
  *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
  *(ValueError, EOFError, KeyError, TypeError, AttributeError, SyntaxError, MemoryError),
  *(RuntimeError, OverflowError),
)


def is_own(path: pathlib.Path) -> bool:
  """Whether a zip archive is one of ours."""
  with zipfile.ZipFile(path) as archive:
    return f'{CARD}.npy' in archive.namelist()


def read_own(path: pathlib.Path) -> tuple[Tree, Tree, dict[str, Any]]:
  """(params, stats, card).

  Raises:
    InputError: not one of ours, or cut off.
  """
  trees: dict[str, Any] = {'params': {}, 'stats': {}}
  try:
    if not is_own(path):
      raise InputError(f'{str(path)!r} has no array {CARD!r}; it was not exported here')
    with zipfile.ZipFile(path) as packed:
      check_unpacked(packed, path, packed.namelist())
    with np.load(path, allow_pickle=False) as archive:
      card = json.loads(str(archive[CARD]))
      for name in archive.files:
        if name == CARD:
          continue
        *groups, last = name.split('/')
        node = trees
        for group in groups:
          node = node.setdefault(group, {})
        node[last] = archive[name]
  except InputError:
    raise
  except DAMAGE as error:
    reason = str(error)[:200].split('\n')[0]
    raise InputError(
      f'{str(path)!r} is no .npz export, or it is cut off ({reason}); files of weights of '
      f'other kinds are read by {command("convert")}'
    ) from error
  return trees['params'], trees['stats'], card
