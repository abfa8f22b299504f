"""Folders that this process may write only as long as they are its own."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

_GUARDS: list[tuple[pathlib.Path, Callable[[], None]]] = []


@contextlib.contextmanager
def guarded(folder: pathlib.Path, check: Callable[[], None]) -> Iterator[None]:
  """Within this scope `check_own` calls `check` for what lies in the folder.

  Args:
    folder: absolute.
    check: raises where the folder is not this process's own any more.
  """
  entry = (folder, check)
  _GUARDS.append(entry)
  try:
    yield
  finally:
    _GUARDS.remove(entry)


def check_own(path: pathlib.Path) -> None:
  """Raises what the guards of the folders above a path raise; cheap."""
  for folder, check in tuple(_GUARDS):
    if path.is_relative_to(folder):
      check()
