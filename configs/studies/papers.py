"""What the studies of one paper share: how it measures, its blocks, its rows.

The settings and their sources: docs/methods.md, "Paper and code".
"""

import dataclasses

from jaxrkd.experiment import config_files as configs
from jaxrkd.experiment import study

Row, Shown, Protocol, Block = study.Row, study.Shown, study.Protocol, study.Block
Claim, Comparison, Cell = study.Claim, study.Comparison, study.Cell
DATA = {'CIFAR-10': 'cifar10', 'CIFAR-100': 'cifar100'}
STUDENTS = {
  'ResNet-18': 'resnet18',
  'MobileNet-V2': 'mobilenet_v2',
  'WRN-34-10': 'wrn_34_10',
}
# What chooses Nature's checkpoint whatever the protocol says: by robust accuracy, which is
# zero, it would be an untrained one.
BY_CLEAN = {'select.metric': 'clean'}
# The files that the papers took their teachers from.
PUBLIC = {
  'teachers/cifar:cifar10,clean': 'mtard_resnet56',
  'teachers/cifar:cifar10,robust': 'trades_wrn_34_10',
  'teachers/cifar:cifar100,clean': 'mtard_wrn_22_6',
  'teachers/cifar:cifar100,robust': 'deepmind_cifar100_wrn_70_16_without',
}


def blocks(data=tuple(DATA), students=('ResNet-18',), cifar100=None):
  """'CIFAR-10, ResNet-18' -> its words, and how the papers' numbers call it.

  Args:
    data: names of data sets.
    students: names of networks.
    cifar100: changes of rows on CIFAR-100.
  """
  return {
    f'{d}, {s}': Block(
      f'{DATA[d]},{STUDENTS[s]}',
      dict(dataset=d, student=s),
      cifar100 if cifar100 and d == 'CIFAR-100' else {},
    )
    for d in data
    for s in students
  }


def named(*rows):
  """Rows with the paper's name of their method in the printed numbers, too."""
  return [
    dataclasses.replace(row, printed={'method': row.name, **row.printed}) for row in rows
  ]


def best_of(where, titles, winner, rows, text):
  """Claims that a row has the largest number of all, one for each block and column."""
  return [
    Claim(
      f'{text}: {block}, {title}',
      tuple(
        Comparison(Cell(f'{block}: {winner}', title), Cell(f'{block}: {row}', title))
        for row in rows
        if row != winner
      ),
    )
    for block in where
    for title in titles
  ]


def larger(text, *pairs):
  """A claim that the first of each pair is larger than the second.

  Args:
    text: what the paper says.
    *pairs: of cells, each a row's key and a column's title; the second may be a number.
  """
  cell = lambda place: Cell(*place) if isinstance(place, tuple) else place
  return Claim(text, tuple(Comparison(cell(a), cell(b)) for a, b in pairs))


def taught_by(spec, **entry):
  """An entry of `teachers` whose network one of jaxrkd's configs trains."""
  return configs.teacher(configs.load_spec(spec), **entry)
