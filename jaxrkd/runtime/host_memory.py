"""Memory of the host that programs on CPU compute in."""

import ctypes
import platform

# Of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_MAX = -1, -4


def keep_freed() -> bool:
  """Lets this process keep what it frees, for its next step, instead of giving it back.

  XLA takes a step's memory in one piece and frees it after the step. glibc returns pieces
  that large to the system, which clears every page anew for the next step: a third of the
  time of a small network's step on CPU (`benchmarks/dispatch.py`).

  Returns:
    Whether that was possible: the C library is glibc.
  """
  if platform.libc_ver()[0] != 'glibc':
    return False
  library = ctypes.CDLL(None)
  # No piece of its own from the system, and none back.
  return bool(library.mallopt(MMAP_MAX, 0) and library.mallopt(TRIM_THRESHOLD, -1))
