"""Pictures of adversarial images. The only file that knows matplotlib."""

import io
import pathlib
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np

from jaxrkd.runtime import files

matplotlib.use('Agg')
from matplotlib import pyplot as plt


def save(path: pathlib.Path) -> None:
  """Writes the current figure and closes it."""
  with files.replacing(path) as temporary:
    plt.savefig(temporary, dpi=110, bbox_inches='tight', format=path.suffix[1:])
  plt.close()


def plane(
  path: pathlib.Path,
  probability: Callable[[np.ndarray], np.ndarray],
  points: np.ndarray,
  labels: np.ndarray,
  particles: Mapping[str, np.ndarray],
  eps: float,
) -> None:
  """Particles of points in the plane, one panel for each attack.

  Args:
    path: of the PNG.
    probability: [N, 2] -> [N], of the second class.
    points: [B, 2], in [0, 1].
    labels: [B], 0 or 1.
    particles: title -> [n, B, 2].
    eps: radius of the squares in which they may move.
  """
  side = np.linspace(0, 1, 201)
  grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
  level = probability(grid).reshape(len(side), len(side))
  _, axes = plt.subplots(
    1, len(particles), figsize=(4.6 * len(particles), 4.6), squeeze=False
  )
  colours = np.array(['tab:blue', 'tab:red'])
  for axis, (title, found) in zip(axes[0], particles.items()):
    axis.contourf(side, side, level, levels=20, cmap='RdBu_r', alpha=0.35, vmin=0, vmax=1)
    axis.contour(side, side, level, levels=[0.5], colors='black', linewidths=1)
    for (x, y), label, own in zip(points, labels, found.swapaxes(0, 1)):
      box = plt.Rectangle((x - eps, y - eps), 2 * eps, 2 * eps, fill=False, alpha=0.4)
      axis.add_patch(box)
      axis.plot(x, y, 'o', color=colours[label], markersize=7, markeredgecolor='black')
      axis.plot(*own.T, 'x', color=colours[label], markersize=7, markeredgewidth=2)
    axis.set(title=title, xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect='equal')
  plt.figtext(
    0.5,
    0.02,
    f'dot: point; cross: its particles (colour: true class); square: eps {eps:g}; line: '
    'decision boundary',
    ha='center',
  )
  save(path)


def rows_of_images(
  path: pathlib.Path,
  clean: np.ndarray,
  particles: Mapping[str, np.ndarray],
  eps: float,
) -> None:
  """One image's particles: each attack has a row of images and one of their changes.

  Args:
    path: of the PNG.
    clean: [H, W, C].
    particles: title -> [n, H, W, C].
    eps: a change of this size is drawn in full colour.
  """
  columns = 1 + max(map(len, particles.values()))
  axes = _grid(2 * len(particles), columns)
  for row, (title, found) in enumerate(particles.items()):
    show(axes[2 * row, 0], clean)
    axes[2 * row, 0].set_title(f'{title}: image, particles', loc='left', fontsize=8)
    axes[2 * row + 1, 1].set_title(
      f'their changes; full colour is {255 * eps:.0f} of 255', loc='left', fontsize=8
    )
    for k, image in enumerate(found):
      show(axes[2 * row, k + 1], image)
      change(axes[2 * row + 1, k + 1], (image - clean) / eps)
  save(path)


def gallery(
  path: pathlib.Path,
  clean: Sequence[np.ndarray],
  rows: Mapping[str, Sequence[np.ndarray]],
  wrong: Mapping[str, np.ndarray],
) -> None:
  """A row of images for each attack below the row of clean ones.

  Args:
    path: of the PNG.
    clean: B images [H, W, C].
    rows: title -> B images.
    wrong: title -> B truth values; these images get a red frame.
  """
  table = {'clean': clean, **rows}
  axes = _grid(len(table), len(clean))
  for row, (title, images) in zip(axes, table.items()):
    row[0].set_title(title, loc='left', fontsize=8)
    for k, (axis, image) in enumerate(zip(row, images)):
      show(axis, image)
      if title in wrong and wrong[title][k]:
        height, width = image.shape[:2]
        frame = plt.Rectangle(
          (-0.5, -0.5), width, height, fill=False, color='red', linewidth=3
        )
        axis.add_patch(frame)
  save(path)


def _grid(rows: int, columns: int):
  """Axes [rows, columns] for small images with titles between the rows."""
  figure, axes = plt.subplots(
    rows, columns, figsize=(columns, 1.25 * rows), squeeze=False
  )
  figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.25)
  for axis in axes.ravel():
    axis.axis('off')
  return axes


def change(axis, difference: np.ndarray) -> None:
  """Draws a change in [-1, 1]: red is brighter, blue darker; of colour images as colours."""
  if difference.shape[-1] == 1:
    axis.imshow(difference[..., 0], cmap='bwr', vmin=-1, vmax=1)
  else:
    axis.imshow(np.clip(0.5 + difference / 2, 0, 1))


def show(axis, image: np.ndarray) -> None:
  """Draws one image [H, W, 1 or 3] in [0, 1]."""
  grey = image.shape[-1] == 1
  axis.imshow(image[..., 0] if grey else image, cmap='gray', vmin=0, vmax=1)


def png(pixels: np.ndarray) -> bytes:
  """A PNG of an image [H, W, C] with values in [0, 1]; in grey unless C is 3."""
  if pixels.shape[-1] not in (1, 3):
    # No colours that anyone knows.
    pixels = pixels.mean(axis=-1, keepdims=True)
  levels = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
  buffer = io.BytesIO()
  grey = levels.shape[-1] == 1
  shown = levels.repeat(3, axis=-1) if grey else levels
  plt.imsave(buffer, shown, format='png', metadata={'Software': None})
  return buffer.getvalue()
