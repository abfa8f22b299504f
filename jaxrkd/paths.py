"""Paths that people write: `~` is their home, and what is kept must hold from everywhere."""

import os
import pathlib
import sys

from jaxrkd.errors import InputError


def expanded(path: str | os.PathLike[str]) -> pathlib.Path:
  """The path with the home of `~` or `~NAME` at its beginning.

  A shell does not put it in where it stands behind a flag's `=` or in quotation marks.

  Raises:
    InputError: nobody knows that home.
  """
  given = pathlib.Path(path)
  try:
    return given.expanduser()
  except RuntimeError as error:
    raise InputError(
      f'the path {str(path)!r} begins with {given.parts[0]!r}, whose home is not known here; '
      'write the whole path, or ./ before a name that begins with ~'
    ) from error


def absolute(path: str | os.PathLike[str]) -> pathlib.Path:
  """The same from the root, for what is read again later, perhaps from another folder.

  Links stay as they are written, so that a disk may be mounted elsewhere later.
  """
  whole = expanded(path).absolute()
  # Behind a link `..` is not what its text says.
  return whole.resolve() if '..' in whole.parts else whole


def check_letters(path: pathlib.Path) -> None:
  """Refuses a name that would be another one to the libraries that save checkpoints.

  They write names as UTF-8, and Python as its locale says.

  Raises:
    InputError: both are not the same here.
  """
  try:
    if str(path).encode() == os.fsencode(path):
      return
  except UnicodeEncodeError:
    pass
  raise InputError(
    f'the path {str(path)!a} has letters that Python cannot write as UTF-8 in this '
    f'locale ({sys.getfilesystemencoding()}); set PYTHONUTF8=1 in the environment, or use '
    'plain letters'
  )


def absolute_text(path: str) -> str:
  """`absolute` for a key of a config: empty stays empty, and so does what is no path."""
  return str(absolute(path)) if path and '://' not in path else path
