"""What images of each class are taken for under attack: a matrix, or the commonest mistakes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxrkd.report.markup import table, text

# A matrix of more classes is too wide for a page.
MATRIX = 12
# Mistakes in the list.
LISTED = 15


def section(
  found: Mapping[str, Any], images: Sequence[int], name: Callable[[int], str]
) -> list[str]:
  """The part of a page.

  Args:
    found: `by_class.confusion`.
    images: of each class.
    name: of a class.
  """
  pairs = {(a, b): n for a, b, n in found['worst_case']}
  wrong = {pair: n for pair, n in pairs.items() if pair[0] != pair[1]}
  if not wrong:
    return []
  classes = sorted({k for pair in pairs for k in pair} | set(range(len(images))))
  if len(classes) <= MATRIX:
    shown = _matrix(pairs, images, classes, name)
  else:
    shown = _list(wrong, images, name)
  told = '<details><summary>What images are taken for in the worst case</summary>'
  return [told, shown, '</details>']


def _matrix(
  pairs: Mapping[tuple[int, int], int],
  images: Sequence[int],
  classes: Sequence[int],
  name: Callable[[int], str],
) -> str:
  cells = []
  for row in (k for k in classes if 0 <= k < len(images) and images[k]):
    line = [text(name(row))]
    for column in classes:
      share = 100 * pairs.get((row, column), 0) / images[row]
      shown = f'{share:.0f}' if share else ''
      line.append(f'<strong>{shown}</strong>' if row == column else shown)
    cells.append(line)
  head = ['class \\ taken for', *(text(name(k)) for k in classes)]
  told = '<p>In percent of the images of each class; what is right is bold.</p>'
  return told + table(head, cells)


def _list(
  wrong: Mapping[tuple[int, int], int], images: Sequence[int], name: Callable[[int], str]
) -> str:
  order = sorted(wrong, key=lambda pair: (-wrong[pair], pair))
  cells = [
    [text(name(a)), text(name(b)), f'{wrong[a, b]} of {images[a]}']
    for a, b in order[:LISTED]
  ]
  told = f'<p>The commonest of {len(wrong)} mistakes.</p>' if len(wrong) > LISTED else ''
  return told + table(['class', 'taken for', 'images'], cells, (0, 1))
