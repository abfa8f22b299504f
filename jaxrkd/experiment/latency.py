"""How long a file takes to answer on this machine."""

import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Images at a time; calls at least, and seconds after which no further one is begun.
BATCHES, CALLS, SECONDS = (1, 32), 5, 0.5


def latency(
  predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray
) -> dict[str, Any]:
  """Milliseconds per image, the median over calls, for one image and for a batch.

  Args:
    predict: images [B, H, W, C] -> logits, in the run time of the file.
    images: [N, H, W, C].

  Returns:
    {'ms_per_image': {'1': .., '32': ..}, 'cpu': its name, 'cores': how many}.
  """
  found = {}
  for size in BATCHES:
    part = np.resize(images, (size, *images.shape[1:]))
    predict(part)  # what it prepares once is no latency
    began = time.perf_counter()
    taken: list[float] = []
    while len(taken) < CALLS or time.perf_counter() - began < SECONDS:
      start = time.perf_counter()
      predict(part)
      taken.append(time.perf_counter() - start)
    found[str(size)] = round(1000 * statistics.median(taken) / size, 4)
  return {'ms_per_image': found, 'cpu': _cpu(), 'cores': os.cpu_count()}


def _cpu() -> str:
  """The name of the processor, as far as the system tells."""
  try:
    for line in pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
      if line.startswith('model name'):
        return line.split(':', 1)[1].strip()
  except OSError:
    pass
  return platform.processor() or platform.machine()
