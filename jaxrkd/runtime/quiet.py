"""Keeps orbax's threads from printing pages about an error that arrives as an exception.

A disk that is full makes each of a dozen threads print its own trace, and later those of
the tasks that it leaves behind. The save that failed raises, too, and that is told in one
sentence.
"""

import functools
import logging
import sys
from typing import Any


@functools.cache
def quieten() -> None:
  """Drops what orbax logs as errors, and what its unfinished tasks print; once."""
  logging.getLogger('absl').addFilter(_from_elsewhere)
  logging.getLogger('asyncio').addFilter(_from_elsewhere)
  usual = sys.unraisablehook

  def hook(found: Any) -> None:
    if not _left_behind(found):
      usual(found)

  sys.unraisablehook = hook


def _from_elsewhere(record: logging.LogRecord) -> bool:
  if record.levelno < logging.ERROR:
    return True
  return 'orbax' not in record.pathname and 'orbax' not in record.getMessage()


def _left_behind(found: Any) -> bool:
  """Whether it is of a write that ended after nobody waited for it any more."""
  code = getattr(found.object, 'cr_code', None)
  late = found.object is None and str(found.exc_value) == 'Event loop is closed'
  return late or 'orbax' in getattr(code, 'co_filename', '')
