"""Made-up images for measuring speed and for tests: any size, no files."""

import numpy as np

from jaxrkd.data.dataset import make_split
from jaxrkd.data.split import Split


def synthetic(
  train: int = 1024,
  test: int = 256,
  size: int = 32,
  channels: int = 3,
  classes: int = 10,
) -> tuple[Split, Split]:
  """Noise around one random pattern per class, so that there is something to learn.

  Args:
    train: number of training images.
    test: number of test images.
    size: height and width.
    channels: of each image.
    classes: number of labels.
  """
  rng = np.random.default_rng(0)
  patterns = rng.uniform(64, 192, (classes, size, size, channels))

  def draw(count: int, what: str) -> Split:
    labels = np.arange(count) % classes
    noise = rng.normal(0, 32, (count, size, size, channels))
    images = np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)
    return make_split(images, labels, f'synthetic {what}')

  return draw(train, 'train'), draw(test, 'test')
