"""Draws the pictures of the project itself: `python docs/hooks/pictures.py`.

They are texts and boxes in colours that read on light and on dark, written as SVG into
docs/pictures.
"""

import html
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

HERE = pathlib.Path(__file__).parents[1] / 'pictures'
INK, SOFT, LINE = '#1b1f24', '#5b6673', '#8793a1'
FILLS = {
  'given': '#e8eef7',
  'attack': '#fbe6dc',
  'student': '#dff1e6',
  'teacher': '#ece2f7',
  'plain': '#f3f6fa',
}


class Box(NamedTuple):
  """A rectangle with a title and lines below it; x, y, width, height in pixels."""

  x: int
  y: int
  width: int
  height: int
  title: str
  lines: Sequence[str] = ()
  fill: str = 'plain'

  def side(self, name: str) -> tuple[int, int]:
    """The middle of a side: 'left', 'right', 'top' or 'bottom'."""
    middle = self.x + self.width // 2, self.y + self.height // 2
    return {
      'left': (self.x, middle[1]),
      'right': (self.x + self.width, middle[1]),
      'top': (middle[0], self.y),
      'bottom': (middle[0], self.y + self.height),
    }[name]


def drawing(width: int, height: int, parts: Sequence[str], title: str) -> str:
  """A whole SVG."""
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
    f'aria-label="{html.escape(title)}" font-family="system-ui, sans-serif" font-size="14">\n'
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker></defs>\n'
    f'<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>\n'
    + '\n'.join(parts)
    + '\n</svg>\n'
  )


def box(made: Box) -> str:
  """A box with its texts."""
  middle = made.x + made.width // 2
  top = made.y + 24 if made.lines else made.y + made.height // 2 + 5
  texts = [
    f'<text x="{middle}" y="{top}" text-anchor="middle" font-weight="600" '
    f'fill="{INK}">{html.escape(made.title)}</text>'
  ]
  for number, line in enumerate(made.lines, 1):
    texts.append(
      f'<text x="{middle}" y="{top + 20 * number}" text-anchor="middle" font-size="12.5" '
      f'fill="{SOFT}">{html.escape(line)}</text>'
    )
  return (
    f'<rect x="{made.x}" y="{made.y}" width="{made.width}" height="{made.height}" rx="8" '
    f'fill="{FILLS[made.fill]}" stroke="{LINE}"/>' + ''.join(texts)
  )


def arrow(start: tuple[int, int], end: tuple[int, int], label: str = '') -> str:
  """An arrow with one bend at most: across first, then down or up."""
  (x, y), (to_x, to_y) = start, end
  path = f'M{x} {y} L{to_x} {to_y}'
  if x != to_x and y != to_y:
    half = (x + to_x) // 2
    path = f'M{x} {y} H{half} V{to_y} H{to_x}'
  found = (
    f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" '
    'marker-end="url(#tip)"/>'
  )
  if label:
    found += (
      f'<text x="{(x + to_x) // 2 + (8 if x == to_x else -20)}" y="{(y + to_y) // 2 - 6}" '
      f'font-size="12.5" '
      f'fill="{SOFT}">{html.escape(label)}</text>'
    )
  return found


def note(x: int, y: int, text: str) -> str:
  """A line of text."""
  return (
    f'<text x="{x}" y="{y}" font-size="12.5" fill="{SOFT}">{html.escape(text)}</text>'
  )


def step() -> str:
  """How one training step works."""
  images = Box(
    10, 120, 170, 84, 'Images x, labels y', ('crop, flip, ...', 'on the device'), 'given'
  )
  attack = Box(
    250,
    30,
    200,
    104,
    'Attack',
    ('PGD raises the', "method's inner problem", "x' in the ball around x"),
    'attack',
  )
  teachers = Box(
    250,
    190,
    200,
    104,
    'Teachers',
    ('clean on x', "robust on x or x'", 'weights do not move'),
    'teacher',
  )
  student = Box(
    530,
    30,
    180,
    104,
    'Student',
    ("S(x), S(x')", 'BatchNorm in training', 'mode'),
    'student',
  )
  loss = Box(
    530,
    190,
    180,
    104,
    'Outer loss',
    ('distances to teachers,', "weighed by the method's", 'own weights'),
    'student',
  )
  update = Box(790, 120, 150, 84, 'Update', ('optax; EMA', 'next step'), 'plain')
  parts = [
    arrow(images.side('right'), attack.side('left')),
    arrow(images.side('right'), teachers.side('left')),
    arrow((attack.x + attack.width, 82), student.side('left'), "x'"),
    arrow((350, 134), (350, 190), "x'"),
    arrow(student.side('bottom'), loss.side('top'), 'logits'),
    arrow(teachers.side('right'), loss.side('left'), 'logits'),
    arrow(loss.side('right'), update.side('left')),
    *map(box, (images, attack, teachers, student, loss, update)),
    f'<rect x="236" y="14" width="488" height="296" rx="12" fill="none" stroke="{LINE}" '
    'stroke-dasharray="5 5"/>',
    note(
      240,
      332,
      'One compiled program over all devices. A method chooses the inner problem, the outer',
    ),
    note(
      240,
      350,
      'loss and which teachers are asked on which images; everything else is shared.',
    ),
  ]
  return drawing(960, 366, parts, 'A training step: attack, teachers, student, update')


def rooms() -> str:
  """The rooms of the package, and who may use whom."""
  top = [
    Box(
      20,
      20,
      455,
      66,
      'programs',
      ('one file per command: train, evaluate, study, report, ...',),
      'attack',
    ),
    Box(485, 20, 455, 66, 'experiment', ('configs, stages, results, studies',), 'attack'),
  ]
  library = [
    Box(20, 150, 220, 66, 'train', ('state, step, loop, distill',), 'student'),
    Box(253, 150, 220, 66, 'evaluate', ('verdicts, trust checks',), 'student'),
    Box(486, 150, 220, 66, 'interop', ('weights in, students out',), 'student'),
    Box(719, 150, 221, 66, 'report', ('pages, charts, pictures',), 'student'),
  ]
  parts_ = [
    Box(20, 280, 173, 66, 'methods', ('one file each',), 'teacher'),
    Box(207, 280, 173, 66, 'attacks', ('ball, goal, search',), 'teacher'),
    Box(394, 280, 173, 66, 'models', ('networks',), 'teacher'),
    Box(581, 280, 173, 66, 'data', ('sources, splits',), 'teacher'),
    Box(768, 280, 172, 66, 'optimizers', ('schedules, EMA',), 'teacher'),
  ]
  ground = [
    Box(
      20, 410, 455, 66, 'runtime', ('devices, processes, checkpoints, metrics, progress',)
    ),
    Box(
      485, 410, 455, 66, 'losses, amalgamation, errors', ('what all of the others share',)
    ),
  ]
  parts = [
    note(20, 112, 'The application: the only rooms that read configs'),
    note(20, 242, 'The library: plain values in, plain values out'),
    note(
      20,
      372,
      'Tables of rows: a new method, attack, network or source is one file and one row',
    ),
    note(20, 502, 'Each room uses only rooms below it; a test holds it.'),
    *(arrow((x, 86), (x, 148)) for x in (700,)),
    *(arrow((x, 216), (x, 278)) for x in (700,)),
    *(arrow((x, 346), (x, 408)) for x in (700,)),
    *map(box, (*top, *library, *parts_, *ground)),
  ]
  return drawing(960, 516, parts, 'The rooms of jaxrkd, from programs down to runtime')


PICTURES = {'step.svg': step, 'rooms.svg': rooms}


def main() -> None:
  """Writes all of them."""
  HERE.mkdir(exist_ok=True)
  for name, draw in PICTURES.items():
    (HERE / name).write_text(draw(), encoding='utf-8')
    print(HERE / name)


if __name__ == '__main__':
  main()
