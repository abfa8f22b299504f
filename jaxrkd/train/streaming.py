"""Whether the training set lies on the devices or comes batch by batch."""

import jax
import numpy as np

from jaxrkd.data import Dataset
from jaxrkd.runtime import sharding

# Of a device's memory, which the set may take before it is streamed.
SHARE = 0.25


def training_bytes(data: Dataset) -> int:
  """Of all images that training sees."""
  extra = data.extra.image.nbytes if data.extra is not None else 0
  return data.train.image.nbytes + extra


def is_streamed(stream: str, data: Dataset) -> bool:
  """Whether batches come from the host.

  Args:
    stream: 'always', 'never', or 'auto': where the set would take more than a quarter of a
      device's memory. A CPU's is the host's, where nothing is gained by a second copy.
    data: all splits.
  """
  if stream != 'auto':
    return stream == 'always'
  device = jax.local_devices()[0]
  limit = (device.memory_stats() or {}).get('bytes_limit', 0)
  if device.platform == 'cpu' or not limit:
    parts = [part for part in (data.train, data.extra) if part is not None]
    return not all(isinstance(part.image, np.ndarray) for part in parts)
  # One answer for all processes, whose devices may differ by a little.
  return sharding.agreed(training_bytes(data) > SHARE * limit)
