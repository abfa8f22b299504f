"""A part of a study: some of its rows, and whatever these are read with."""

import dataclasses

from jaxrkd.errors import InputError
from jaxrkd.experiment.study import Cell, Claim, Study


def chosen_rows(study: Study, *texts: str) -> Study:
  """A study of rows by their names, and of the claims and figures about them.

  Args:
    study: the whole.
    texts: a row is taken whose key has one of them.

  Raises:
    InputError: no row has one of them.
  """
  keys: set[str] = set()
  for text in texts:
    found = {row.key for row in study.rows if text in row.key}
    if not found:
      known = ', '.join(repr(row.key) for row in study.rows)
      raise InputError(f'no row has {text!r} in its name (there: {known})')
    keys |= found
  # Whom the others are read with.
  keys |= {study.difficulty, *(column.ratio_to for column in study.columns)}
  for _ in study.rows:
    for row in study.rows:
      if row.key in keys:
        keys |= {row.teacher, row.baseline, *row.mean_of}
  rows = [row for row in study.rows if row.key in keys]

  def about(claim: Claim) -> bool:
    cells = [c for one in claim.all_of for c in (one.more, one.less)]
    return all(cell.row in keys for cell in cells if isinstance(cell, Cell))

  return dataclasses.replace(
    study,
    rows=rows,
    claims=[claim for claim in study.claims if about(claim)],
    figures=[
      dataclasses.replace(f, rows=tuple(k for k in f.rows if k in keys))
      for f in study.figures
      if not f.rows or set(f.rows) & keys
    ],
  )
