"""Opens what was closed of stdin, stdout and stderr, before anything else can take its place.

Imported first: with `2>&-` the first file that a program opens would be its stderr, and hold
whatever libraries print there.
"""

import os
import sys

# In the order of their numbers.
STREAMS = (
  ('stdin', 'r', os.O_RDONLY),
  ('stdout', 'w', os.O_WRONLY),
  ('stderr', 'w', os.O_WRONLY),
)


def open_closed() -> None:
  """Has a program read nothing and print nowhere where it was given no stream."""
  for name, mode, way in STREAMS:
    if getattr(sys, name) is None:
      # Takes the lowest number that is free, which is the stream's own.
      nowhere = os.open(os.devnull, way)
      setattr(sys, name, os.fdopen(nowhere, mode, closefd=False, encoding='utf-8'))


open_closed()
