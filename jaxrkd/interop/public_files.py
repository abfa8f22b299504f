"""Public files of weights by the name of their recipe: found in a folder, or downloaded."""

import hashlib
import os
import pathlib
import re
import shutil
import tempfile
import urllib.error
import urllib.request

from jaxrkd.errors import InputError
from jaxrkd.interop.recipes import RECIPES, Recipe, recipe
from jaxrkd.paths import expanded
from jaxrkd.runtime.progress import say

# Names the folder.
VARIABLE, USUAL = 'JAXRKD_WEIGHTS', '~/.cache/jaxrkd/weights'
SUFFIXES = ('.pt', '.pth', '.th', '.npy', '.npz', '.safetensors', '.pkl', '.tar', '.ckpt')
# Folders of this name are for other files than those of a recipe without it.
SETS = ('cifar10', 'cifar100', 'imagenet')
NORMS = ('linf', 'l2', 'corruptions', 'corruptions_3d')
# Larger files are none of these, and take long to hash.
HASHED = 4 * 2**30
TIMEOUT = 30.0


def public_file(name: str) -> pathlib.Path:
  """The file of a public teacher.

  It is looked for in the folder that JAXRKD_WEIGHTS names, or ~/.cache/jaxrkd/weights, and
  in folders in it: by the names that its authors and RobustBench give it, by that of the
  recipe, and by its checksum where one is published. Where it is not there, it is
  downloaded. The checksum of the first download is kept beside the file, and later
  ones must have it.

  Args:
    name: a row of `RECIPES`, such as 'cifar10/Rebuffi2021Fixing_28_10_cutmix_ddpm'.

  Raises:
    InputError: no such recipe, several files, one whose checksum differs, or none that can
      be had; says where to get it and where to put it.
  """
  made = recipe(name)
  root = expanded(os.environ.get(VARIABLE) or USUAL)
  found = _named(root, name, made) or _hashed(root, made)
  if len(found) > 1:
    told = ' and '.join(str(path.relative_to(root)) for path in found[:2])
    raise InputError(
      f'{str(root)!r} has {len(found)} files for {name}: {told}; keep one, or name it with '
      '.file and .recipe'
    )
  if found:
    _check(found[0], made, name)
    return found[0]
  if not made.url:
    raise InputError(
      f'no file for {name} in {str(root)!r} ({VARIABLE}); get {made.source}, and put it '
      f'there as {_stems(name, made)[0]}.pt'
    )
  return _download(root, name, made)


def _stems(name: str, made: Recipe) -> tuple[str, ...]:
  return (*made.stems, name.rpartition('/')[2])


def _named(root: pathlib.Path, name: str, made: Recipe) -> list[pathlib.Path]:
  stems = _stems(name, made)
  # Entries of one id for several sets or norms are told apart by their folders alone.
  rivals = [
    row
    for other, row in RECIPES.items()
    if other != name and {*_stems(other, row)} & {*stems}
  ]
  asked = {made.data} if any(row.data != made.data for row in rivals) else set()
  if any(row.norm != made.norm for row in rivals):
    asked.add(made.norm.lower())
  found = [
    p for p in _files(root) if p.stem in stems and _is_for(p.relative_to(root), made)
  ]
  clear = [path for path in found if asked <= _folders(path.relative_to(root))]
  if found and not clear:
    raise InputError(
      f'{str(found[0])!r} may be for {name} or for another set or norm; put it into a folder '
      f'{made.data}/{made.norm}, or name it with .file and .recipe'
    )
  return clear


def _folders(place: pathlib.Path) -> set[str]:
  """Names of the folders above, as sets and norms are written here."""
  return {part.lower().replace('-', '') for part in place.parts[:-1]}


def _is_for(place: pathlib.Path, made: Recipe) -> bool:
  """Whether no folder above says that it is for another set or norm."""
  return not ({*SETS, *NORMS} - {made.data, made.norm.lower()}) & _folders(place)


def _files(root: pathlib.Path) -> list[pathlib.Path]:
  if not root.is_dir():
    return []
  return sorted(p for p in root.rglob('*') if p.suffix in SUFFIXES and p.is_file())


def _hashed(root: pathlib.Path, made: Recipe) -> list[pathlib.Path]:
  if not made.sha256:
    return []
  small = (path for path in _files(root) if path.stat().st_size < HASHED)
  return [path for path in small if _sha256(path).startswith(made.sha256)][:1]


def _sha256(path: pathlib.Path) -> str:
  try:
    with path.open('rb') as file:
      return hashlib.file_digest(file, 'sha256').hexdigest()
  except OSError as error:
    raise InputError(f'{str(path)!r} cannot be read ({error.strerror})') from error


def _noted(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(path.name + '.sha256')


def _known(noted: pathlib.Path) -> str:
  """The checksum that was noted; empty where none was."""
  if not noted.is_file():
    return ''
  words = noted.read_bytes().split()
  if not words or not re.fullmatch(rb'[0-9a-f]{64}', words[0]):
    raise InputError(
      f'{str(noted)!r} holds no SHA-256; remove it, if you trust the file beside it'
    )
  return words[0].decode()


def _check(
  path: pathlib.Path, made: Recipe, name: str, place: pathlib.Path | None = None
) -> None:
  """Raises `InputError` where the checksum is not the published or the noted one.

  Args:
    path: of the file.
    made: its recipe.
    name: of the recipe.
    place: where the file will be, if not there yet.
  """
  known = _known(_noted(place or path))
  wanted = [value for value in (made.sha256, known) if value]
  if not wanted:
    return
  found = _sha256(path)
  for value in wanted:
    if not found.startswith(value):
      raise InputError(
        f'{str(path)!r} has the SHA-256 {found[:16]}..., and {name} has {value[:16]}...; it '
        'is another file, or damaged: remove it, and get it again'
      )


def _download(root: pathlib.Path, name: str, made: Recipe) -> pathlib.Path:
  suffix = pathlib.PurePath(made.url.partition('?')[0]).suffix
  suffix = suffix if suffix in SUFFIXES else '.pt'
  place = root / made.data / made.norm / f'{_stems(name, made)[0]}{suffix}'
  by_hand = (
    f'download {made.url} on a machine with a network and put it there as '
    f'{place.relative_to(root)}'
  )
  say(f'{name}: downloading {made.url} to {place}')
  try:
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, text = tempfile.mkstemp(prefix='part-', dir=place.parent)
  except OSError as error:
    raise InputError(
      f'{str(place.parent)!r} cannot be written ({error}); name another folder as {VARIABLE}'
    ) from error
  part = pathlib.Path(text)
  try:
    ask = urllib.request.urlopen
    with os.fdopen(handle, 'wb') as file, ask(made.url, timeout=TIMEOUT) as answer:
      shutil.copyfileobj(answer, file)
      promised = answer.headers.get('Content-Length')
    size = part.stat().st_size
    if promised and size != int(promised):
      raise OSError(f'{size} of {promised} bytes came')
    with part.open('rb') as file:
      head = file.read(64).lstrip().lower()
    if not head or head.startswith((b'<!doctype', b'<html', b'{"')):
      raise InputError(
        f'{made.url} answers with a web page or a message instead of weights; open it in a '
        f'browser, and put the file into {str(root)!r} as {place.relative_to(root)}'
      )
    _check(part, made, name, place)
    found = _sha256(part)
    os.replace(part, place)
    _noted(place).write_text(f'{found}  {place.name}\n', encoding='utf-8')
  except (OSError, urllib.error.URLError) as error:
    reason = getattr(error, 'reason', error)
    raise InputError(
      f'no file for {name} in {str(root)!r} ({VARIABLE}), and it cannot be downloaded '
      f'({reason}); {by_hand}'
    ) from error
  finally:
    part.unlink(missing_ok=True)
  say(f'{name}: SHA-256 {found}')
  return place
