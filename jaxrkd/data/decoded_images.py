"""Many encoded images made one array, decoded once and kept for the next time."""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrkd.data.decode import (
  LARGEST,
  Encoded,
  Form,
  Header,
  checked_form,
  decoded,
  header,
)
from jaxrkd.data.image_cache import cache, keeping, kept
from jaxrkd.data.lazy import IN_MEMORY, LazyImages
from jaxrkd.errors import InputError

# Changes whenever the same files would give other arrays.
VERSION = 1
# Images that a thread takes at once.
PIECE = 64

# What opens an image.
Item = Callable[[], Encoded]


class Images(NamedTuple):
  """What was decoded.

  Attributes:
    image: uint8 [N, H, W, C], or `LazyImages` of these.
    rows: [N], which of the items they are: those that can be decoded.
    notes: what a person should know.
  """

  image: Any
  rows: np.ndarray
  notes: tuple[str, ...]


def decoded_images(
  items: Sequence[Item],
  names: Sequence[str],
  signature: Any,
  form: Form,
  what: str,
  skip_damaged: bool = False,
) -> Images:
  """Decodes images, or finds what was decoded before (see `image_cache`).

  Args:
    items: what opens each.
    names: of each, for messages.
    signature: JSON that changes whenever the images do; with `form` it names the array.
    form: what they are made to be.
    what: they are, for messages.
    skip_damaged: leave out what cannot be decoded, with a note.

  Raises:
    InputError: images that cannot be decoded, or are of several sizes or too large where
      `form` has no size; a folder that cannot be written.
  """
  checked_form(form)
  if not len(items):
    raise InputError(f'{what} has no images')
  request = json.dumps([VERSION, signature, list(form)], sort_keys=True)
  folder = cache() / hashlib.sha256(request.encode()).hexdigest()[:32]
  if not _whole(kept(folder), len(items)):
    _decode(folder, items, names, form, what)
  found = kept(folder)
  if found is None or not _whole(found, len(items)):
    raise InputError(f'cannot read {str(folder)!r} back; remove it and try again')
  array, record = found
  damaged = record['damaged']
  if damaged and not skip_damaged:
    row, reason = damaged[0]
    raise InputError(
      f'{what}: {_images(len(damaged))} of {len(items)} cannot be decoded, first '
      f'{names[row]!r} ({reason}); repair or remove, or leave out with '
      'data.skip_damaged=true'
    )
  rows = np.setdiff1d(np.arange(len(items)), [row for row, _ in damaged])
  lazy = array.nbytes > IN_MEMORY
  image = LazyImages(array, rows) if lazy else np.asarray(array[rows])
  return Images(image, rows, _notes(record, len(items), names, what))


def _whole(found: tuple[np.ndarray, dict[str, Any]] | None, count: int) -> bool:
  """Whether what is kept is what was asked for."""
  if found is None:
    return False
  array, record = found
  told = {'damaged', 'enlarged', 'transparent'} <= record.keys()
  return told and len(array) == count


def _images(count: int) -> str:
  return f'{count} image' if count == 1 else f'{count} images'


def _notes(
  record: dict[str, Any], count: int, names: Sequence[str], what: str
) -> tuple[str, ...]:
  notes, damaged = [], record['damaged']
  if damaged:
    first = names[damaged[0][0]]
    notes.append(
      f'{what}: {_images(len(damaged))} of {count} cannot be decoded: left out, '
      f'first {first!r}'
    )
  if record['enlarged']:
    notes.append(
      f'{what}: {_images(record["enlarged"])} of {count} smaller than asked for: enlarged'
    )
  if record['transparent']:
    notes.append(
      f'{what}: {_images(record["transparent"])} of {count} with transparency, which is '
      'left out: what it hides is seen'
    )
  return tuple(notes)


def _tried(item: Item, call: Callable[..., Any], *more: Any) -> Any:
  """What it gives of an image, or the reason why not as a string."""
  try:
    return call(item(), *more)
  except MemoryError:
    raise
  except Exception as error:
    if isinstance(error, OSError) and error.errno:
      # Not the image's fault: it may be there the next time.
      raise _Unreadable(error.strerror or str(error)) from error
    # Of damaged files Pillow raises anything, such as "cannot identify image file
    # <_io.BytesIO object at 0x...>".
    text = str(error).split(' <')[0].split(" '/")[0].strip()
    return text or type(error).__name__


class _Unreadable(Exception):
  """A file that cannot be read now."""


def _settled(headers: Sequence[Header], form: Form, what: str) -> Form:
  """The form with what images decide."""
  if not form.channels:
    form = form._replace(channels=1 if all(each.grey for each in headers) else 3)
  sizes = collections.Counter((each.width, each.height) for each in headers)
  if form.size:
    return form
  (width, height), *others = sorted(sizes, key=lambda size: (size[0] * size[1], size))
  if others:
    raise InputError(
      f'{what}: images are of {len(sizes)} sizes, from {width}x{height} to '
      f'{others[-1][0]}x{others[-1][1]}; networks need one: give data.size=32 (or 64, 224)'
    )
  if max(width, height) > LARGEST:
    raise InputError(
      f'{what}: images are {width}x{height}, larger than is trained on as it is; give '
      'data.size=32 (or 64, 224)'
    )
  return form


def _decode(
  folder: pathlib.Path, items: Sequence[Item], names: Sequence[str], form: Form, what: str
) -> None:
  """Decodes all images into the folder's array."""
  from tqdm import tqdm

  pieces = [range(k, min(k + PIECE, len(items))) for k in range(0, len(items), PIECE)]
  reasons: dict[int, str] = {}
  # Pillow decodes without Python's lock.
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:

    def asked(k: int, call: Callable[..., Any], *more: Any) -> Any:
      try:
        return _tried(items[k], call, *more)
      except _Unreadable as error:
        raise InputError(f'{what}: {names[k]!r} cannot be read ({error})') from error

    read = lambda piece: [asked(k, header) for k in piece]
    headers = [each for part in pool.map(read, pieces) for each in part]
    whole = [each for each in headers if not isinstance(each, str)]
    reasons = {k: each for k, each in enumerate(headers) if isinstance(each, str)}
    if not whole:
      raise InputError(
        f'{what}: none of {len(items)} images can be decoded, first {names[0]!r} '
        f'({headers[0]})'
      )
    form = _settled(whole, form, what)
    height, width = (form.size,) * 2 if form.size else (whole[0].height, whole[0].width)
    with keeping(folder, (len(items), height, width, form.channels)) as (array, record):

      def fill(piece: range) -> None:
        for k in piece:
          if k in reasons:
            continue
          image = asked(k, decoded, form)
          if isinstance(image, str):
            reasons[k] = image
          elif image.shape != array.shape[1:]:
            reasons[k] = f'it is {list(image.shape)} and says that it is another size'
          else:
            array[k] = image

      done = pool.map(fill, pieces)
      for _ in tqdm(done, f'{what}: decoding', len(pieces), leave=False, disable=None):
        pass
      shorter = form.resize or form.size
      record.update(
        damaged=sorted(reasons.items()),
        enlarged=sum(min(each.width, each.height) < shorter for each in whole),
        transparent=sum(each.transparent for each in whole),
      )
