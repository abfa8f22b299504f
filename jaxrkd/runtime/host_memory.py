"""Memory of the host that programs on CPU compute in."""

import ctypes
import platform

import jax

# Of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
# Bytes kept free for whatever else the main thread asks for.
ROOM = 2**28


def keep_freed() -> bool:
  """Lets this process keep what it frees, for its next step, instead of giving it back.

  XLA takes a step's memory in one piece and frees it after the step. glibc returns pieces
  that large to the system, which clears every page anew for the next step: a third of the
  time of a small network's step on CPU (`benchmarks/dispatch.py`). It can keep them for the
  main thread; for others it asks the system for whatever is above 64 MB, every time. So on
  one CPU device the main thread runs the steps itself, and none is handed out ahead of the
  last: that part of a step is a tenth of a millisecond there. Steps of several devices, and
  those whose images are not there yet, still run in threads of jax.

  To be called by the main thread, before jax's first computation.

  Returns:
    Whether that was possible: the C library is glibc.
  """
  if platform.libc_ver()[0] != 'glibc':
    return False
  library = ctypes.CDLL(None)
  # No piece of its own from the system, and none back.
  kept = bool(library.mallopt(MMAP_MAX, 0) and library.mallopt(TRIM_THRESHOLD, -1))
  if kept:
    jax.config.update('jax_cpu_enable_async_dispatch', False)
    _leave_room(library)
  return kept


def _leave_room(library: ctypes.CDLL) -> None:
  """Frees a piece at the heap's start, of addresses only: none of its pages is touched.

  What is asked for during a step is found there. Behind the step's own piece, at the end of
  the heap, it would keep that piece from growing, and a second one would be taken.
  """
  library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
  library.free.argtypes = [ctypes.c_void_p]
  room = library.malloc(ROOM)
  library.malloc(2**20)  # stays, between the room and the heap's end
  library.free(room)
